"""Links between the stages of a job: what is handed on, in which batches, and when one waits."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from asr.batch.flow import Clock, Link


def size(item: float) -> float:
    return item


sizes = st.lists(st.floats(1.0, 100.0), max_size=30)


@given(sizes, st.floats(0.0, 300.0))
def test_every_item_comes_out_once_in_batches_of_like_size(
    items: list[float], batch: float
) -> None:
    link = Link(size, most=1e9, batch=batch)
    link.begin()
    for item in items:
        link.give(item)
    link.done()
    left = list(items)
    while taken := link.take():
        assert taken[0] == left[0]  # the oldest, so that none waits for ever
        assert len(taken) == 1 or len(taken) * max(taken) <= batch
        for item in taken:
            left.remove(item)
    assert not left and link.is_over


def test_a_full_link_lets_in_what_there_is_room_for() -> None:
    link = Link(size, most=10.0)
    link.give(9.0)
    link.give(500.0)  # larger than all that it may hold
    given = threading.Event()

    def give() -> None:
        link.give(1.0)
        given.set()

    thread = threading.Thread(target=give)
    thread.start()
    assert link.take() == [9.0]
    assert not given.is_set()  # it is still full
    assert link.take() == [500.0]
    thread.join()
    assert given.is_set() and link.take() == [1.0]


def test_whoever_waits_is_told_of_the_end() -> None:
    link = Link(size, most=1.0)
    link.begin()
    link.begin()
    assert link.take(patience_s=0.0) == [] and not link.is_over
    taken: list[list[float]] = []
    thread = threading.Thread(target=lambda: taken.append(link.take()))
    thread.start()
    link.done()
    assert not link.is_over
    link.done()
    thread.join()
    assert taken == [[]] and link.is_over
    full = Link(size, most=1.0)
    full.give(1.0)
    thread = threading.Thread(target=full.give, args=(1.0,))
    thread.start()
    full.end()
    thread.join()
    assert full.take() == [] and full.is_over


def test_a_clock_adds_up() -> None:
    clock = Clock(1)
    with clock.counting("busy"):
        pass
    with clock.counting("starved"):
        threading.Event().wait(0.01)
    assert clock.busy >= 0.0 and clock.starved > 0.0 and clock.blocked == 0.0
