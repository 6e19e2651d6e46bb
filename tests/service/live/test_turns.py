"""Turns: where somebody speaks in a stream."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import load
from service.live.turns import FRAME, Detection, Turn, Turns

ROOT = Path(__file__).parents[3]
CLIP = load(ROOT / "samples" / "1272-141231-0000.flac").samples
SILENCE = np.zeros(16_000, np.float32)
LONGEST_S = 30.0


def noise(seconds: float, decibels: float) -> np.ndarray:
    level = 10 ** (decibels / 20)
    return np.random.default_rng(7).normal(0, level, int(16_000 * seconds)).astype(np.float32)


def turns_of(turns: Turns, samples: np.ndarray, step: int = 1600) -> list[Turn]:
    return [turn for at in range(0, len(samples), step) for turn in turns.add(samples[at:][:step])]


STREAM = np.concatenate([SILENCE, CLIP, SILENCE, CLIP, SILENCE])
EXPECTED = turns_of(Turns(Detection(), LONGEST_S), STREAM)


def test_a_clip_with_a_pause_has_two_turns_that_hold_its_words() -> None:
    assert len(EXPECTED) == 4
    first, second = EXPECTED[:2]
    assert first.start < 16_000 + int(0.48 * 16_000) and second.stop > 16_000 + int(4.0 * 16_000)
    assert first.stop <= second.start
    assert first.seconds == (first.stop - first.start) / 16_000


@given(st.lists(st.integers(0, 40_000), max_size=20))
def test_any_cutting_into_messages_gives_the_same_turns(lengths: list[int]) -> None:
    turns, found, at = Turns(Detection(), LONGEST_S), [], 0
    for length in lengths:
        found += turns.add(STREAM[at : at + length])
        at += length
    found += turns.add(STREAM[at:])
    assert found == EXPECTED


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 2.0), st.floats(-80, -5), st.sampled_from(["add", "commit", "clear"])
        ),
        max_size=12,
    ),
    st.sampled_from([None, Detection(), Detection(0.0, 1000, 100), Detection(1.0, 0, 2000)]),
)
def test_turns_are_in_order_apart_and_no_longer_than_allowed(
    parts: list[tuple[float, float, str]], detection: Detection | None
) -> None:
    turns, found, longest_s = Turns(detection, 5.0), [], 5.0
    for seconds, decibels, then in parts:
        found += turns.add(noise(seconds, decibels))
        assert turns.start is None or turns.needed <= turns.start <= turns.stop
        if then == "commit" and (turn := turns.commit()) is not None:
            found.append(turn)
        elif then == "clear":
            turns.clear()
    for before, after in pairwise(found):
        assert before.stop <= after.start
    for turn in found:
        assert 0 < turn.seconds <= longest_s and turn.start % FRAME == turn.stop % FRAME == 0


def test_without_detection_turns_end_by_hand_alone() -> None:
    turns = Turns(None, LONGEST_S)
    assert turns.commit() is None
    assert turns.add(STREAM) == []
    assert turns.commit() == Turn(0, len(STREAM) // FRAME * FRAME)
    assert turns.commit() is None
    turns.add(SILENCE)
    turns.clear()
    assert turns.commit() is None
    turns.add(SILENCE)
    turn = turns.commit()
    assert turn is not None and turn.seconds == 1.0


def test_a_long_turn_is_cut_where_it_is_quietest_and_goes_on_there() -> None:
    loud, quiet = noise(3.6, -20), noise(0.4, -50)
    turns = Turns(None, 5.0)
    (turn,) = turns.add(np.concatenate([loud, quiet, noise(2.0, -20)]))
    assert 3.6 < turn.stop / 16_000 < 4.0
    assert turns.start == turn.stop


@pytest.mark.parametrize("decibels", [-40, -25])
def test_speech_in_noise_is_found_once_the_model_has_heard_that_it_is_noise(
    decibels: float,
) -> None:
    turns = Turns(Detection(), LONGEST_S)
    turns.add(noise(3.0, decibels))
    assert turns.start is not None  # louder than assumed of noise
    assert turns.heard(turns.stop, None) == ([], True)
    assert turns.start is None
    found = turns.add(
        np.concatenate(
            [
                noise(1.0, decibels),
                4 * CLIP + noise(len(CLIP) / 16_000, decibels),
                noise(2.0, decibels),
            ]
        )
    )
    assert found and turns.start is None


def test_the_models_blanks_end_a_turn_in_which_noise_goes_on() -> None:
    turns = Turns(Detection(), LONGEST_S)
    loud = noise(len(CLIP) / 16_000 + 3.0, -30)
    loud[: len(CLIP)] += CLIP
    turns.add(loud)
    assert turns.start is not None
    word_end = int(4.13 * 16_000)
    (closed,), is_noise = turns.heard(turns.stop, word_end)
    assert not is_noise and word_end < closed.stop < word_end + 8_000
    assert turns.start is None


def test_a_pause_says_where_the_turn_will_stop() -> None:
    turns = Turns(Detection(), LONGEST_S)
    assert turns.pause is None
    turns.add(STREAM[: 16_000 + 24_000])
    assert turns.start is not None and turns.pause is None
    while (pause := turns.pause) is None:
        assert turns.add(STREAM[turns.stop :][:FRAME]) == []
    found: list[Turn] = []
    while not found:
        found = turns.add(STREAM[turns.stop :][:FRAME])
    assert found[0].stop == pause


def test_silence_and_faint_noise_open_nothing() -> None:
    turns = Turns(Detection(), LONGEST_S)
    assert turns.add(np.concatenate([SILENCE, noise(5.0, -70), SILENCE])) == []
    assert turns.start is None and turns.needed > 5 * 16_000
