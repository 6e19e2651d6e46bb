"""Alignment of a known text: planted paths are found, and what is not there is passed over."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.decoding import Found, TextAligner
from asr.decoding import known_text as module

SPACE, LETTERS = 1, 12
UNITS = 2 + LETTERS


def spelled(words: list[tuple[int, ...]], gap: int = 3) -> list[int]:
    """A unit for each frame that spells the words, with spaces, blanks and doubled frames."""
    frames = [0] * gap
    for word in words:
        for before, unit in zip((0, *word), word, strict=False):
            frames += [0] * (unit == before) + [unit, unit]
        frames += [0, SPACE, *[0] * gap]
    return frames


def lattice(frames: list[int], sure: float = 0.9) -> NDArray[np.float32]:
    """`(U, V)` log-probabilities in which each frame's unit has the probability `sure`."""
    rest = (1 - sure) / (UNITS - 1)
    posteriors = np.full((len(frames), UNITS), rest, np.float32)
    posteriors[np.arange(len(frames)), frames] = sure
    return np.log(posteriors)


def aligned(words: list[tuple[int, ...]], rows: NDArray[np.float32]) -> list[Found]:
    aligner = TextAligner(words, SPACE)
    aligner.add(rows)
    return list(aligner.end())


letters = st.integers(2, UNITS - 1)
texts = st.lists(st.lists(letters, min_size=2, max_size=5).map(tuple), min_size=1, max_size=12)


few = settings(max_examples=25)


@few
@given(texts)
def test_a_text_that_is_said_gets_its_frames(words: list[tuple[int, ...]]) -> None:
    frames = spelled(words)
    found = aligned(words, lattice(frames))
    assert [word.index for word in found] == list(range(len(words)))
    now = 3
    for word, units in zip(found, words, strict=True):
        length = len(spelled([units], 0)) - 2
        assert (word.start, word.end) == (now, now + length)
        assert word.posterior == pytest.approx(0.9, abs=1e-3)
        now += length + 5


def distinct(count: int, seed: int) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(seed)
    return [tuple(rng.integers(2, UNITS, 6).tolist()) for _ in range(count)]


@few
@given(st.integers(0, 9), st.integers(0, 30), st.integers(1, 40))
def test_words_that_were_not_said_are_passed_over(seed: int, at: int, count: int) -> None:
    said, more = distinct(30, seed), distinct(count, seed + 100)
    found = aligned([*said[:at], *more, *said[at:]], lattice(spelled(said)))
    assert [word.index for word in found] == [*range(at), *range(at + count, 30 + count)]


@pytest.mark.slow
@few
@given(st.integers(0, 9), st.sampled_from([0, 15, 30]), st.integers(1, 40))
def test_sound_that_the_text_does_not_have_is_left_out(seed: int, at: int, count: int) -> None:
    said, more = distinct(30, seed), distinct(count, seed + 100)
    rows = lattice(spelled([*said[:at], *more, *said[at:]]))
    found = aligned(said, rows)
    assert [word.index for word in found] == list(range(30))
    whole = aligned([*said[:at], *more, *said[at:]], rows)
    assert [(word.start, word.end) for word in found] == [
        (word.start, word.end) for word in (*whole[:at], *whole[at + count :])
    ]


def test_a_long_recording_in_parts_is_aligned_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    words = distinct(200, 1)
    text = [*words[:60], *distinct(30, 2), *words[60:90], *words[120:]]
    rows = lattice(spelled(words))
    whole = aligned(text, rows)
    monkeypatch.setattr(module, "REACH", 120)
    monkeypatch.setattr(module, "_SETTLED_FRAMES", 900)
    monkeypatch.setattr(module, "_EVERY", 40)
    aligner = TextAligner(text, SPACE)
    for part in np.array_split(rows, 7):
        aligner.add(part)
    assert list(aligner.end()) == whole
    assert [word.index for word in whole] == [*range(60), *range(90, 200)]


def test_a_text_may_go_on_after_the_recording_and_nothing_may_be_said() -> None:
    words = distinct(10, 3)
    assert [word.index for word in aligned(words, lattice(spelled(words[:4])))] == [0, 1, 2, 3]
    assert aligned(words, lattice([0] * 50)) == []
    assert aligned(words, np.zeros((0, UNITS), np.float32)) == []
    assert aligned([], lattice([0] * 50)) == []


@pytest.mark.parametrize("space", [SPACE, None])
def test_sure_zeros_and_units_without_a_space(space: int | None) -> None:
    frames = [2, 3, 0, 4, 4, 5]
    rows = np.full((len(frames), UNITS), -np.inf, np.float32)
    rows[np.arange(len(frames)), frames] = 0.0
    aligner = TextAligner([(2, 3), (4, 5)], space)
    aligner.add(rows)
    assert [(word.start, word.end) for word in aligner.end()] == [(0, 2), (3, 6)]
