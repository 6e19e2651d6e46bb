"""Batches of several corpora in shares."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus.buckets import Buckets
from asr.corpus.mixture import Mixture

SIZES = (90, 40, 300)
SHARES = (0.2, 0.3)
MOST = 1000


def mixture(epoch: int, **options: int) -> Mixture:
    corpora = [Buckets([100 + at % 150 for at in range(size)], MOST) for size in SIZES]
    return Mixture(corpora, SIZES, SHARES, epoch=lambda: epoch, **options)


def corpus_of(batch: list[int]) -> int:
    ends = [sum(SIZES[: at + 1]) for at in range(len(SIZES))]
    (found,) = {next(at for at, end in enumerate(ends) if index < end) for index in batch}
    return found


def test_an_epoch_reads_the_main_corpus_once_and_the_others_by_their_shares() -> None:
    for epoch in range(6):
        batches = list(mixture(epoch))
        kinds = Counter(map(corpus_of, batches))
        main = [index for batch in batches for index in batch if index < SIZES[0]]

        assert sorted(main) == list(range(SIZES[0]))
        assert len(batches) == len(mixture(epoch)) == sum(kinds.values())
        for at, share in enumerate(SHARES, start=1):
            assert abs(kinds[at] / len(batches) - share) < 0.05


def test_the_others_go_on_where_the_epoch_before_stopped() -> None:
    once = len(Buckets([100 + at % 150 for at in range(SIZES[2])], MOST))
    taken: list[int] = []
    for epoch in range(20):
        batches = [batch for batch in mixture(epoch) if corpus_of(batch) == 2]
        taken += [index for batch in sorted(batches) for index in batch]
        if (epoch + 1) * len(batches) >= once:
            break
    assert set(taken) == set(range(SIZES[0] + SIZES[1], sum(SIZES)))


def test_in_the_end_the_main_corpus_stands_alone_in_as_many_batches() -> None:
    batches = list(mixture(4, alone_from=4))

    assert {corpus_of(batch) for batch in batches} == {0}
    assert len(batches) == len(list(mixture(3, alone_from=4)))
    assert list(mixture(3, alone_from=4)) == list(mixture(3))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9), st.integers(1, 4), st.integers(0, 5))
def test_processes_share_an_epoch_and_a_resumed_one_goes_on(
    epoch: int, ranks: int, start: int
) -> None:
    whole = list(mixture(epoch))
    parts = [list(mixture(epoch, ranks=ranks, rank=rank)) for rank in range(ranks)]

    assert len({len(part) for part in parts}) == 1
    dealt = [batch for turn in zip(*parts, strict=True) for batch in turn]
    assert dealt[: len(whole)] == whole
    resumed = Mixture(
        [Buckets([100 + at % 150 for at in range(size)], MOST) for size in SIZES],
        SIZES,
        SHARES,
        epoch=lambda: epoch,
        start=lambda: start,
    )
    assert list(resumed) == whole[start:]
