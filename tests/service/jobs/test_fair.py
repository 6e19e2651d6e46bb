"""Whose job is next: keys share the capacity, and places are the order in which jobs are taken."""

import sys
import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from service.jobs.fair import FairQueue, Waiting

JOBS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 100.0)), max_size=30)


def queue(jobs: list[tuple[str, float]]) -> FairQueue:
    made = FairQueue()
    for number, (key, seconds) in enumerate(jobs):
        made.add(Waiting(str(number), key, seconds))
    return made


def taken(waiting: FairQueue) -> list[Waiting]:
    return list(iter(waiting.take, None))


@given(JOBS)
def test_jobs_are_taken_in_the_order_of_their_places_and_each_once(
    jobs: list[tuple[str, float]],
) -> None:
    waiting = queue(jobs)
    places = {str(number): waiting.place(str(number)) for number in range(len(jobs))}
    order = taken(waiting)
    assert sorted(int(job.id) for job in order) == list(range(len(jobs)))
    before = 0.0
    for number, job in enumerate(order, start=1):
        place = places[job.id]
        assert place is not None and place.number == number
        assert abs(place.seconds_before - before) < 1e-6
        before += job.seconds
    for key in "abc":  # those of a key keep their order
        of_key = [int(job.id) for job in order if job.key == key]
        assert of_key == sorted(of_key)


@given(JOBS)
def test_no_key_is_ahead_of_another_that_waits_by_more_than_a_job(
    jobs: list[tuple[str, float]],
) -> None:
    waiting = queue(jobs)
    given_s: Counter[str] = Counter()
    left = Counter(key for key, _ in jobs)
    longest = max((seconds for _, seconds in jobs), default=0.0)
    for job in taken(waiting):
        given_s[job.key] += job.seconds
        left[job.key] -= 1
        for key in left:
            if left[key]:
                assert given_s[job.key] - given_s[key] <= longest + 1e-6


def test_a_key_that_comes_later_saved_up_nothing() -> None:
    waiting = queue([("a", 10.0)] * 6)
    for _ in range(3):
        waiting.take()
    for number in range(3):
        waiting.add(Waiting(f"late {number}", "b", 10.0))
    assert [job.key for job in taken(waiting)] in (list("ababab"), list("bababa"))


def test_a_job_that_is_removed_is_not_taken() -> None:
    waiting = queue([("a", 1.0), ("b", 1.0), ("a", 1.0)])
    waiting.remove("0")
    waiting.remove("0")
    assert waiting.place("0") is None and len(waiting) == 2 and waiting.seconds == 2.0
    assert {job.id for job in taken(waiting)} == {"1", "2"}
    assert waiting.first() is None and waiting.take() is None


def test_another_thread_may_ask_for_the_seconds_that_wait() -> None:
    waiting = queue([(str(number % 50), 1.0) for number in range(2000)])
    failures: list[RuntimeError] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set() and not failures:
            try:
                assert waiting.seconds >= 0 and len(waiting) >= 0
            except RuntimeError as error:
                failures.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        thread = threading.Thread(target=ask)
        thread.start()
        for number in range(2000):
            waiting.add(Waiting(f"new {number}", f"key {number % 60}", 1.0))
            waiting.take()
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(before)
    assert not failures
