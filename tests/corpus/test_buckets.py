from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus.buckets import Buckets
from asr.errors import BadOption

LENGTHS = st.lists(st.integers(0, 400), min_size=1, max_size=300)


@settings(deadline=None)
@given(LENGTHS, st.integers(0, 5), st.integers(0, 3))
def test_each_epoch_has_every_clip_once_within_the_budget(
    lengths: list[int], epoch: int, short_first: int
) -> None:
    buckets = Buckets(lengths, most=1000, epoch=lambda: epoch, short_first=short_first)
    batches = list(buckets)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert len(batches) == len(buckets)
    for batch in batches:
        assert len(batch) * max(lengths[index] for index in batch) <= 1000


def order(lengths: Sequence[int], epoch: int, shuffle: bool = True) -> list[list[int]]:
    return list(Buckets(lengths, 1000, epoch=lambda: epoch, shuffle=shuffle, short_first=1))


def test_epochs_differ_and_are_repeatable() -> None:
    lengths = [index % 50 for index in range(500)]
    assert order(lengths, 1) == order(lengths, 1)
    assert order(lengths, 1) != order(lengths, 2)
    assert order(lengths, 1, shuffle=False) == order(lengths, 2, shuffle=False)


def test_the_first_epoch_goes_from_short_to_long() -> None:
    lengths = [(index * 7919) % 400 for index in range(500)]
    longest = [max(lengths[index] for index in batch) for batch in order(lengths, 0)]
    assert all(later >= earlier - 10 for earlier, later in pairwise(longest))
    assert longest[0] < longest[-1]


def test_an_unshuffled_order_is_mixed_so_that_its_head_is_a_fair_sample() -> None:
    lengths = list(range(1, 401))
    head = [lengths[index] for batch in order(lengths, 0, shuffle=False)[:30] for index in batch]
    assert min(head) < 150 and max(head) > 250


def test_few_clips_still_fill_their_batches() -> None:
    """Forty buckets of a clip or two each would make batches of as many, whatever `most` says."""
    lengths = [20 + index % 10 for index in range(60)]  # six to eight in a batch of 200
    assert len(Buckets(lengths, 200)) <= 12
    assert len(Buckets(lengths, 10_000)) == 1


def test_a_clip_longer_than_a_batch_is_refused() -> None:
    with pytest.raises(BadOption, match="batch_seconds"):
        Buckets([10, 2000], most=1000)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 5), st.integers(0, 3))
def test_ranks_have_equally_many_batches_and_share_all_clips(
    lengths: list[int], ranks: int, epoch: int
) -> None:
    whole = list(Buckets(lengths, 1000, epoch=lambda: epoch))
    dealt = [
        list(Buckets(lengths, 1000, epoch=lambda: epoch, ranks=ranks, rank=rank))
        for rank in range(ranks)
    ]
    rounds = len(Buckets(lengths, 1000, ranks=ranks))
    assert [len(share) for share in dealt] == [rounds] * ranks
    in_turn = [batch for turn in zip(*dealt, strict=True) for batch in turn]
    assert in_turn[: len(whole)] == whole
    extra = in_turn[len(whole) :]
    assert len(extra) < ranks and all(batch in whole for batch in extra)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 3), st.data())
def test_an_epoch_goes_on_where_it_was_left(
    lengths: list[int], ranks: int, data: st.DataObject
) -> None:
    whole = list(Buckets(lengths, 1000, epoch=lambda: 4, ranks=ranks))
    start = data.draw(st.integers(0, len(whole)))
    rest = list(Buckets(lengths, 1000, epoch=lambda: 4, ranks=ranks, start=lambda: start))
    assert rest == whole[start:]


@settings(deadline=None)
@given(LENGTHS)
def test_no_batch_costs_more_than_the_costliest(lengths: list[int]) -> None:
    def cost(batch: list[int]) -> int:
        return len(batch) * max(lengths[index] for index in batch)

    buckets = Buckets(lengths, 1000)
    dearest = cost(buckets.costliest())
    for epoch in range(3):
        for batch in Buckets(lengths, 1000, epoch=lambda epoch=epoch: epoch):  # type: ignore[misc]
            assert cost(batch) <= dearest
