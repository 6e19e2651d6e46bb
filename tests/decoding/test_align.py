"""Forced alignment: the best path of a text, against brute force over all paths."""

import math
from collections.abc import Sequence
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr.decoding import Cutter, align, cut, greedy


def normalised(scores: np.ndarray) -> np.ndarray:
    """Scores as log-probabilities of the last axis."""
    return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)


LATTICES = st.tuples(st.integers(1, 6), st.integers(2, 4)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-8, 8, width=32))
)


def best_path(lattice: np.ndarray, units: Sequence[int]) -> tuple[float, list[tuple[int, ...]]]:
    """The score of the best path that spells the units, and all paths that reach it."""
    scores: dict[tuple[int, ...], float] = {}
    frames, n_units = lattice.shape
    for path in product(range(n_units), repeat=frames):
        if [unit for unit, _ in groupby(path) if unit] == list(units):
            scores[path] = sum(lattice[frame, unit].item() for frame, unit in enumerate(path))
    best = max(scores.values(), default=-math.inf)
    return best, [path for path, score in scores.items() if score > best - 1e-4]


@given(LATTICES, st.data())
def test_it_is_the_best_of_all_paths_that_spell_the_text(
    scores: np.ndarray, data: st.DataObject
) -> None:
    lattice = normalised(scores)
    frames, n_units = lattice.shape
    units = data.draw(st.lists(st.integers(1, n_units - 1), max_size=frames))
    best, paths = best_path(lattice, units)
    if not paths:
        with pytest.raises(ValueError, match="frames cannot spell"):
            align(lattice[None], np.array([frames]), [units])
        return
    (found,) = align(lattice[None], np.array([frames]), [units])
    assert found.units == tuple(units)
    assert found.score == pytest.approx(best, abs=1e-3)
    taken = [0] * frames
    for unit, start, end in zip(found.units, found.starts, found.ends, strict=True):
        assert taken[start:end] == [0] * (end - start)
        taken[start:end] = [unit] * (end - start)
    assert tuple(taken) in paths


def test_greedy_text_is_aligned_as_greedy_read_it() -> None:
    log_probs = normalised(2 * np.random.default_rng(3).standard_normal((4, 60, 12), np.float32))
    lengths = np.array([60, 0, 31, 45])
    heard = greedy(log_probs, lengths)
    found = align(log_probs, lengths, [one.units for one in heard])
    for one, other in zip(found, heard, strict=True):
        assert (one.starts, one.ends) == (other.starts, other.ends)
        assert one.confidences == pytest.approx(other.confidences, rel=1e-5)
        assert one.score == pytest.approx(other.score, rel=1e-5)


@given(st.integers(0, 20), st.integers(0, 3))
def test_company_and_what_lies_behind_the_end_change_nothing(frames: int, others: int) -> None:
    generator = np.random.default_rng(frames)
    log_probs = normalised(generator.standard_normal((1 + others, 24, 5), np.float32))
    lengths = np.array([frames, *[24] * others])
    units = [[1, 1, 2][: frames // 3], *[[3, 4, 1, 2, 2]] * others]
    padded = log_probs.copy()
    padded[0, frames:] = math.nan
    (alone,) = align(log_probs[:1, :frames], lengths[:1], units[:1])
    assert align(padded, lengths, units)[0] == alone


def test_units_that_cannot_be_are_still_placed() -> None:
    log_probs = np.full((1, 4, 3), -math.inf, np.float32)
    log_probs[:, :, 0] = 0.0
    (found,) = align(log_probs, np.array([4]), [[1, 2]])
    assert found.units == (1, 2)
    assert 0 <= found.starts[0] < found.ends[0] <= found.starts[1] < found.ends[1] <= 4


def test_nothing_is_aligned_to_nothing() -> None:
    assert align(np.zeros((0, 0, 3), np.float32), np.zeros(0, np.int64), []) == []
    (silent,) = align(np.zeros((1, 0, 3), np.float32), np.array([0]), [[]])
    assert (silent.units, silent.score) == ((), 0.0)


def test_long_lattices_part_in_their_longest_pause() -> None:
    posteriors = np.full((100, 2), 0.1, np.float32)
    posteriors[:, 1] = 0.9
    posteriors[30:34] = posteriors[42:50] = [0.9, 0.1]
    assert [(first, len(part)) for first, part in cut(np.log(posteriors), 100)] == [(0, 100)]
    assert [first for first, _ in cut(np.log(posteriors), 60)] == [0, 46]


@given(st.integers(0, 80), st.integers(1, 30), st.integers(0, 9))
def test_parts_follow_one_another_and_are_none_too_long(
    frames: int, longest: int, seed: int
) -> None:
    scores = np.random.default_rng(seed).standard_normal((frames, 3), np.float32)
    lattice = normalised(scores)
    parts = cut(lattice, longest)
    assert [first for first, _ in parts] == [
        0,
        *np.cumsum([len(part) for _, part in parts])[:-1],
    ]
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), lattice)
    assert all(0 < len(part) <= longest for _, part in parts) or frames == 0


@given(st.integers(0, 80), st.integers(1, 30), st.integers(0, 9), st.lists(st.integers(0, 80)))
def test_a_lattice_that_comes_in_parts_is_cut_at_the_same_places(
    frames: int, longest: int, seed: int, bounds: list[int]
) -> None:
    scores = np.random.default_rng(seed).standard_normal((frames, 3), np.float32)
    lattice = normalised(scores)
    cutter = Cutter(longest)
    found = [piece for part in np.split(lattice, sorted(bounds)) for piece in cutter.add(part)]
    found.append(cutter.end())
    for (first, part), (expected, whole) in zip(found, cut(lattice, longest), strict=True):
        assert first == expected
        np.testing.assert_array_equal(part, whole)
