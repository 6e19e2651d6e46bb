"""Who is let in: the plan's arithmetic, what it learns, and what it says to those it refuses."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import load
from service.admission import Admission, Cost, Estimator, Overloaded, Stages

CAUTION = 1.25


def admission(work: float = 0.1, allowance: float = 10.0, most: float = 1e9) -> Admission:
    """A machine that takes `work` seconds for a second of sound."""
    return Admission(lambda seconds: work * seconds, allowance, most)


def test_it_lets_in_what_ends_in_time_and_refuses_the_next() -> None:
    room = admission(allowance=10.1)
    count = 0
    with pytest.raises(Overloaded) as caught:
        while count < 1000:
            room.admit(1.0, now=0.0)
            count += 1
    assert count == int((10.1 + 1) / (0.1 * CAUTION))
    assert caught.value.reason == "deadline" and caught.value.retry_s == 1


def test_a_short_one_is_let_in_before_a_long_one_that_can_wait() -> None:
    room = admission(work=0.05, allowance=2.0)
    room.admit(60.0, now=0.0)  # takes 3.75 s of the 62 s that it has
    for _ in range(20):
        room.admit(1.0, now=0.0)
    with pytest.raises(Overloaded):
        for _ in range(1000):
            room.admit(1.0, now=0.0)


def test_nobody_is_let_in_at_the_cost_of_one_who_is_in() -> None:
    room = admission(work=1.0, allowance=1.0)
    room.admit(2.0, now=0.0)  # takes 2.5 s and has 3 s
    with pytest.raises(Overloaded) as caught:
        room.admit(0.5, now=0.0)  # would end in time itself, as its deadline is the first
    assert caught.value.reason == "deadline"
    room.admit(0.2, now=0.0)


def test_room_comes_back_when_one_is_answered() -> None:
    room = admission(work=1.0, allowance=1.0)
    ticket = room.admit(2.0, now=0.0)
    room.release(ticket)
    room.admit(2.0, now=0.0)
    assert len(room) == 1 and room.seconds == 2.0 and room.backlog_s == 2.0


def test_the_queue_is_bounded_in_seconds_of_sound_but_for_what_is_alone() -> None:
    room = admission(work=1e-6, most=100.0)
    alone = room.admit(1000.0, now=0.0)
    with pytest.raises(Overloaded) as caught:
        room.admit(1.0, now=0.0)
    assert caught.value.reason == "queue_full"
    room.release(alone)
    for _ in range(10):
        room.admit(10.0, now=0.0)
    with pytest.raises(Overloaded):
        room.check(1.0, now=0.0)


def test_a_long_backlog_says_how_long_to_wait() -> None:
    room = admission(work=1.0, allowance=50.0)
    for _ in range(5):
        room.admit(8.0, now=0.0)
    with pytest.raises(Overloaded) as caught:
        room.check(20.0, now=0.0)
    # 60 s of work are 75 s with caution: 5 s late for its own 70.
    assert caught.value.retry_s == 5


@given(st.lists(st.tuples(st.floats(0.1, 60), st.floats(0, 5)), max_size=40), st.floats(0.01, 1))
def test_all_who_are_let_in_are_answered_in_time_by_a_machine_that_costs_what_was_learnt(
    arrivals: list[tuple[float, float]], work: float
) -> None:
    """The machine works off one after the other, the oldest deadline first, without pre-emption."""
    room = admission(work=work, allowance=20.0)
    now, free = 0.0, 0.0
    waiting = []
    for seconds, gap in arrivals:
        now += gap
        while waiting and free <= now:
            ticket = min(waiting)
            waiting.remove(ticket)
            free = max(free, ticket.arrived) + work * ticket.seconds
            # What is at work cannot be overtaken, which the plan does not know: one piece's time.
            assert free <= ticket.deadline + 60 * work
            room.release(ticket)
        try:
            waiting.append(room.admit(seconds, now))
        except Overloaded as error:
            assert 1 <= error.retry_s <= 120


def test_an_estimate_is_corrected_and_the_order_kept() -> None:
    room = admission()
    first, second = room.admit(1.0, now=0.0), room.admit(2.0, now=0.0)
    room.correct(first, 30.0)
    assert first.deadline == 40.0 and room.seconds == 32.0
    room.remain(first, 5.0)
    assert room.seconds == 7.0
    room.release(second)
    room.release(first)
    assert len(room) == 0


def test_a_cost_is_learnt_and_learnt_anew() -> None:
    chance = random.Random(7)
    cost = Cost(1.0, 1.0)
    for slope, fixed in ((0.02, 0.01), (0.005, 0.1)):
        for _ in range(400):
            n = chance.uniform(1, 60)
            cost.observe(n, (slope * n + fixed) * chance.uniform(0.9, 1.1))
        assert cost(30.0) == pytest.approx(slope * 30 + fixed, rel=0.1)
    assert cost(2.0) == pytest.approx(0.005 * 2 + 0.1, rel=0.3)


@given(st.lists(st.tuples(st.floats(0, 240), st.floats(0, 100)), max_size=200))
def test_a_cost_is_never_negative_nor_less_for_more(seen: list[tuple[float, float]]) -> None:
    cost = Cost(0.01, 0.01)
    for n, seconds in seen:
        cost.observe(n, seconds)
    assert 0 <= cost(0.0) <= cost(1.0) <= cost(100.0)


def test_lengths_that_are_all_the_same_teach_a_cost_in_proportion() -> None:
    cost = Cost(0.01, 0.01)
    for _ in range(1000):
        cost.observe(10.0, 0.5)
    assert cost(10.0) == pytest.approx(0.5, rel=0.05)


def test_a_machine_that_is_slower_than_its_stages_say_is_planned_for() -> None:
    """Each second of sound is reckoned at 0.1 s, and takes 0.3."""
    room = admission(work=0.1, allowance=10.0)
    now, waiting = 0.0, []
    for _ in range(300):
        while True:
            try:
                waiting.append(room.admit(1.0, now))
            except Overloaded:
                break
        now += 0.3
        ticket = waiting.pop(0)
        room.answered(ticket, now)
        room.release(ticket)
    assert len(waiting) == pytest.approx(11 / (0.3 * CAUTION), abs=2)
    assert now - waiting[-1].arrived < 1


def test_the_slowest_stage_counts() -> None:
    stages = Stages({"decode": 2})
    stages.add("model", 1)
    for _ in range(500):
        for n in (1.0, 10.0):
            stages.observe("decode", n, 0.3 * n)
            stages.observe("model", n, 0.1 * n)
    assert stages(10.0) == pytest.approx(1.5, rel=0.05)


def test_wav_and_flac_tell_their_length_and_others_are_learnt(clips: list[Path]) -> None:
    estimate = Estimator(7200.0)
    for clip in clips:
        body, seconds = clip.read_bytes(), load(clip).duration
        if clip.suffix in (".wav", ".flac"):
            assert estimate(body) == pytest.approx(seconds, rel=0.02)
        for _ in range(60):
            estimate.learn(body, seconds)
        assert estimate(body) == pytest.approx(seconds, rel=0.1)


@given(st.binary(max_size=64), st.integers(0, 2**20))
def test_an_estimate_is_bounded_whatever_the_bytes_are(head: bytes, more: int) -> None:
    for magic in (b"RIFF0000WAVEfmt "[:12] + b"fmt ", b"fLaC", b"OggS", b""):
        assert 0 <= Estimator(100.0)(magic + head + bytes(more)) <= 100.0
