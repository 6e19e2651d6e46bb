"""The batcher: every item comes out once, in order of deadlines, in batches within the budget."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.engine.batcher import BACKGROUND, Batch, Batcher, Item

SECONDS = st.floats(0.0, 300.0)
DEADLINES = st.floats(0.0, 1000.0)


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    count = draw(st.integers(0, 60))
    return [
        Item(draw(DEADLINES), draw(st.integers(0, 9)), index, draw(SECONDS))
        for index in range(count)
    ]


def drained(batcher: Batcher) -> list[Batch]:
    batches = []
    while (batch := batcher.next()) is not None:
        batches.append(batch)
    return batches


def filled(items: list[Item], budget: float, most: int) -> Batcher:
    batcher = Batcher(budget, most)
    for item in items:
        batcher.add(item)
    return batcher


@given(items(), st.floats(1.0, 500.0), st.integers(1, 20))
def test_nothing_is_lost_or_doubled_and_no_batch_passes_its_limits(
    items: list[Item], budget: float, most: int
) -> None:
    batches = drained(filled(items, budget, most))
    assert sorted(item for batch in batches for item in batch.items) == sorted(items)
    for batch in batches:
        assert 1 <= len(batch.items) <= most
        assert batch.padded_seconds <= budget or len(batch.items) == 1
        assert batch.seconds <= batch.padded_seconds * (1 + 1e-9)


@given(items(), st.floats(1.0, 500.0), st.integers(1, 20))
def test_every_batch_has_the_oldest_deadline_of_all_that_wait(
    items: list[Item], budget: float, most: int
) -> None:
    batcher, left = filled(items, budget, most), sorted(items)
    for batch in drained(batcher):
        assert left[0] in batch.items
        left = [item for item in left if item not in batch.items]


@given(items(), st.floats(1.0, 500.0))
def test_padding_is_never_more_than_half_as_much_again(items: list[Item], budget: float) -> None:
    for batch in drained(filled(items, budget, 100)):
        longest = max(item.seconds for item in batch.items)
        assert all(item.seconds >= longest / 1.5 - 1e-9 or longest < 1.5 for item in batch.items)


@given(items(), items(), st.floats(1.0, 500.0), st.integers(1, 20))
def test_what_nobody_waits_for_comes_last_and_makes_no_batch_larger(
    waited_for: list[Item], others: list[Item], budget: float, most: int
) -> None:
    behind = [replace(item, deadline=BACKGROUND + item.deadline, task=10) for item in others]
    batches = drained(filled([*behind, *waited_for], budget, most))
    in_front = [batch for batch in batches if not batch.items[0].is_background]
    assert in_front == drained(filled(waited_for, budget, most))
    assert batches == in_front + drained(filled(behind, budget, most))


@given(items(), st.integers(0, 9))
def test_what_is_dropped_never_comes(items: list[Item], gone: int) -> None:
    batcher = filled(items, 60.0, 10)
    first = batcher.next()
    if first is not None and len(first.items) > 1:
        batcher.split(first)
    batcher.drop(gone)
    came = [item for batch in drained(batcher) for item in batch.items]
    assert not any(item.task == gone for item in came)
    taken = set() if first is None or len(first.items) > 1 else set(first.items)
    assert set(came) == {item for item in items if item.task != gone} - taken


@given(items())
def test_a_batch_that_is_split_again_and_again_ends_in_single_items(items: list[Item]) -> None:
    """As where one item is bad: in so many tries as its batch has halves, it is alone."""
    batcher = filled(items, 1e6, 1000)
    good: list[Item] = []
    bad: list[Item] = []
    tries = 0
    while (batch := batcher.next()) is not None:
        tries += 1
        if not any(item.index == 7 for item in batch.items):
            good += batch.items
        elif len(batch.items) == 1:
            bad += batch.items
        else:
            batcher.split(batch)
    assert [item.index for item in bad] == [7] * (len(items) > 7)
    assert sorted(good + bad) == sorted(items)
    assert tries <= 20 + 2 * math.ceil(math.log2(max(2, len(items))))


def test_a_short_clip_overtakes_a_long_recording_and_that_one_is_not_starved() -> None:
    """A 10-minute file's windows came first; clips of 3 s come all the time, one a batch."""
    batcher = Batcher(60.0, 100)
    for index in range(4):
        batcher.add(Item(0.0 + 30 + 600, 1, index, 200.0))
    order: list[int] = []
    for now in range(1000):
        batcher.add(Item(now + 30.0 + 3, 2 + now, 0, 3.0))
        batch = batcher.next()
        assert batch is not None
        order.append(batch.items[0].task)
    assert order[0] == 2
    assert [at for at, task in enumerate(order) if task == 1] == [597, 598, 599, 600]


@given(items(), st.floats(2.0, 300.0))
def test_long_items_wait_for_whom_they_are_not_too_long(items: list[Item], longest: float) -> None:
    batcher = filled(items, 60.0, 10)
    taken: list[Item] = []
    while (batch := batcher.next(longest)) is not None:
        taken += batch.items
    assert all(item.seconds <= longest for item in taken)
    assert {item for item in items if item.seconds < longest / 1.5} <= set(taken)
    assert sorted(taken + [item for batch in drained(batcher) for item in batch.items]) == sorted(
        items
    )


def test_out_of_memory_halves_the_budget_down_to_a_floor() -> None:
    batcher = Batcher(10.0, 100)
    for _ in range(10):
        batcher.shrink()
    assert batcher.budget == 1.0


class AnyOrder(RuleBasedStateMachine):
    """Adding, taking, failing and dropping in any order: each item is in exactly one place."""

    def __init__(self) -> None:
        super().__init__()
        self.batcher = Batcher(30.0, 8)
        self.waiting: set[Item] = set()
        self.at_work: list[Batch] = []
        self.count = 0

    @rule(deadline=DEADLINES, task=st.integers(0, 5), seconds=SECONDS)
    def add(self, deadline: float, task: int, seconds: float) -> None:
        self.count += 1
        item = Item(deadline, task, self.count, seconds)
        self.batcher.add(item)
        self.waiting.add(item)

    @rule()
    def take(self) -> None:
        batch = self.batcher.next()
        assert (batch is None) == (not self.waiting)
        if batch is not None:
            assert self.waiting.issuperset(batch.items)
            self.waiting.difference_update(batch.items)
            self.at_work.append(batch)

    @precondition(lambda self: any(len(batch.items) > 1 for batch in self.at_work))
    @rule()
    def fail(self) -> None:
        batch = next(batch for batch in self.at_work if len(batch.items) > 1)
        self.at_work.remove(batch)
        self.batcher.split(batch)
        self.waiting.update(batch.items)

    @rule(task=st.integers(0, 5))
    def drop(self, task: int) -> None:
        self.batcher.drop(task)
        self.waiting = {item for item in self.waiting if item.task != task}

    @invariant()
    def counted(self) -> None:
        assert len(self.batcher) == len(self.waiting)


TestAnyOrder = AnyOrder.TestCase
