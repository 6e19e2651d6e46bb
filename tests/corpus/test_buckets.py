from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.corpus import Buckets
from asr.errors import BadOption

LENGTHS = st.lists(st.integers(0, 400), min_size=1, max_size=300)


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


def test_a_clip_longer_than_a_batch_is_refused() -> None:
    with pytest.raises(BadOption, match="batch_seconds"):
        Buckets([10, 2000], most=1000)
