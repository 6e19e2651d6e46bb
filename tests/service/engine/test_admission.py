"""Admission: which requests it accepts, the throughput it measures, and what refusals say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import load
from service.engine.admission import Admission, Estimator, Overloaded, Throughput

SAFETY = 1.25


def admission(work: float = 0.1, allowance: float = 10.0, most: float = 1e9) -> Admission:
    """A machine that takes `work` seconds for a second of audio."""
    return Admission(1 / work, allowance, most)


def test_requests_that_can_be_answered_in_time_are_accepted_and_the_next_is_refused() -> None:
    room = admission(allowance=10.1)
    count = 0
    with pytest.raises(Overloaded) as caught:
        while count < 1000:
            room.admit(1.0, now=0.0)
            count += 1
    assert count == int((10.1 + 1) / (0.1 * SAFETY))
    assert caught.value.reason == "deadline" and caught.value.retry_s == 1


def test_short_requests_overtake_a_long_one_that_can_wait() -> None:
    room = admission(work=0.05, allowance=2.0)
    room.admit(60.0, now=0.0)  # is planned as 3.75 s, and has 62 s
    for _ in range(20):
        room.admit(1.0, now=0.0)
    with pytest.raises(Overloaded):
        for _ in range(1000):
            room.admit(1.0, now=0.0)


def test_no_request_is_accepted_that_would_make_an_accepted_one_late() -> None:
    room = admission(work=1.0, allowance=1.0)
    room.admit(2.0, now=0.0)  # is planned as 2.5 s, and has 3 s
    with pytest.raises(Overloaded) as caught:
        room.admit(0.5, now=0.0)  # would itself be in time, as its deadline is the earliest
    assert caught.value.reason == "deadline"
    room.admit(0.2, now=0.0)


def test_an_answered_request_frees_its_place() -> None:
    room = admission(work=1.0, allowance=1.0)
    ticket = room.admit(2.0, now=0.0)
    room.release(ticket)
    room.admit(2.0, now=0.0)
    assert len(room) == 1 and room.seconds == 2.0 and room.backlog_s == 2.0


def test_the_queue_is_bounded_in_seconds_of_audio_except_for_a_request_alone() -> None:
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
    # 60 s of work are planned as 75 s: 5 s too late for its own 70.
    assert caught.value.retry_s == 5


@given(st.lists(st.tuples(st.floats(0.1, 60), st.floats(0, 5)), max_size=40), st.floats(0.01, 1))
def test_accepted_requests_are_answered_in_time_at_the_measured_throughput(
    arrivals: list[tuple[float, float]], work: float
) -> None:
    """The machine takes one request after another, the earliest deadline first, not preempted."""
    room = admission(work=work, allowance=20.0)
    now, free = 0.0, 0.0
    waiting = []
    for seconds, gap in arrivals:
        now += gap
        while waiting and free <= now:
            ticket = min(waiting)
            waiting.remove(ticket)
            free = max(free, ticket.arrived) + work * ticket.seconds
            # The plan ignores that a running request cannot be overtaken.
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
    first.progress(25.0)
    assert room.seconds == 7.0
    room.release(second)
    room.release(first)
    assert len(room) == 0


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e3), st.booleans()), max_size=200))
def test_throughput_stays_above_zero(answers: list[tuple[float, float, bool]]) -> None:
    throughput, now = Throughput(100.0), 0.0
    for audio_s, gap, more_waits in answers:
        now += gap
        throughput.observe(audio_s, now, more_waits)
    assert throughput.value > 0


def test_throughput_is_measured_only_while_work_waits() -> None:
    throughput = Throughput(100.0)
    for hour in range(20):
        throughput.observe(3.0, 3600.0 * hour, more_waits=False)
    assert throughput.value == 100.0


def test_after_a_stall_throughput_recovers_within_a_minute_of_work() -> None:
    throughput = Throughput(100.0)
    throughput.observe(10.0, 0.0, more_waits=True)
    throughput.observe(10.0, 60.0, more_waits=True)  # the device process was replaced
    assert throughput.value < 1
    for tenth in range(600):
        throughput.observe(10.0, 60.1 + tenth / 10, more_waits=True)
    assert throughput.value == pytest.approx(100.0, rel=0.1)


def test_a_machine_that_is_slower_than_thought_is_planned_for() -> None:
    """A second of audio was thought to take 0.1 s, and takes 0.3."""
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
    assert len(waiting) == pytest.approx(11 / (0.3 * SAFETY), abs=2)
    assert now - waiting[-1].arrived < 1


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
