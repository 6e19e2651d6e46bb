"""Guarantee 7: decoders agree with brute force over all paths on small lattices."""

import math
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding import greedy

# Few values, and exact in binary: ties are common, and sums do not depend on their order.
SCORES = st.sampled_from([-0.25, -0.5, -1.0, -2.0, -8.0])


@st.composite
def lattices(draw: st.DrawFn) -> list[list[list[float]]]:
    """Ragged utterances over the same units: `[utterance][frame][unit]`."""
    n_units = draw(st.integers(2, 4))
    frame = st.lists(SCORES, min_size=n_units, max_size=n_units)
    return draw(st.lists(st.lists(frame, max_size=5), min_size=1, max_size=4))


def best_path(frames: list[list[float]]) -> tuple[tuple[int, ...], float]:
    """Of all paths the one of the highest score; of equal ones the first in order of units."""
    n_units = len(frames[0]) if frames else 0
    best: tuple[int, ...] = ()
    highest = -math.inf
    for path in product(range(n_units), repeat=len(frames)):
        score = sum(scores[unit] for scores, unit in zip(frames, path, strict=True))
        if score > highest:
            best, highest = path, score
    return best, highest


@given(lattices(), st.floats(allow_infinity=True, allow_nan=True, width=32))
def test_greedy_is_the_best_path(utterances: list[list[list[float]]], padding: float) -> None:
    longest = max(map(len, utterances))
    n_units = max((len(frame) for frames in utterances for frame in frames), default=2)
    log_probs = np.full((len(utterances), longest, n_units), padding, np.float32)
    for row, frames in zip(log_probs, utterances, strict=True):
        row[: len(frames)] = np.reshape(frames, (-1, n_units))
    found = greedy(log_probs, np.array([len(frames) for frames in utterances]))

    for frames, hypothesis in zip(utterances, found, strict=True):
        path, score = best_path(frames)
        assert hypothesis.score == score
        expected = []
        for unit, steps in groupby(range(len(path)), key=path.__getitem__):
            run = list(steps)
            posteriors = [math.exp(frames[step][unit]) for step in run]
            if unit:
                expected.append((unit, run[0], run[-1] + 1, sum(posteriors) / len(run)))
        columns = tuple(zip(*expected, strict=True)) or ((), (), (), ())
        assert (hypothesis.units, hypothesis.starts, hypothesis.ends) == columns[:3]
        assert hypothesis.confidences == pytest.approx(columns[3])
