"""Forced alignment: when each unit of a given text was spoken (Viterbi over CTC's topology).

A text of N units has 2 N + 1 states: a blank, the first unit, a blank, and so on to a last blank.
A path goes through them in order, one state per frame; it may skip a blank between two different
units (Graves et al., 2006). The most probable path gives the start and end of each unit.

Shapes: B batch, U frames, V units, N units of the longest text, S = 2 N + 1 states.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr.counting import counted
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.lattice import LEAST
from asr.text import BLANK, frames_needed

_STAY, _NEXT, _OVER = 0, 1, 2


def align(
    log_probs: NDArray[np.float32], lengths: NDArray[np.int64], units: Sequence[Sequence[int]]
) -> list[Hypothesis]:
    """The most probable path of each utterance that spells its units.

    Args:
        log_probs: `(B, U, V)` natural logs; frames after an utterance's length are not used.
        lengths: `(B,)` frames of each utterance.
        units: of each utterance, without blanks; none for silence.

    Raises:
        ValueError: an utterance has fewer frames than its units need: one each, and a blank
            between two that are equal.
    """
    _check(lengths, units)
    if not units or log_probs.shape[1] == 0:
        return [Hypothesis((), (), (), (), 0.0) for _ in units]
    states = _states(units)  # (B, S)
    within = np.arange(log_probs.shape[1]) < lengths[:, None]  # (B, U)
    emissions = np.take_along_axis(log_probs, states[:, None, :], axis=2)  # (B, U, S)
    emissions = np.maximum(emissions, LEAST)
    path = _best_path(emissions, within, states, [len(text) for text in units])  # (B, U)
    said = np.take_along_axis(emissions, path[:, :, None], axis=2)[:, :, 0]  # (B, U)
    scores = np.where(within, said, 0.0).astype(np.float64)
    return _hypotheses(path, scores, lengths.tolist(), units)


def _check(lengths: NDArray[np.int64], units: Sequence[Sequence[int]]) -> None:
    for frames, text in zip(lengths.tolist(), units, strict=True):
        if frames < (needed := frames_needed(text)):
            raise ValueError(
                f"{counted(frames, 'frame')} cannot spell {counted(len(text), 'unit')}, "
                f"{needed - len(text)} of them repeated; align a shorter text."
            )


def _states(units: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """`(B, S)` the unit of each state, with blanks between them and as padding."""
    longest = max(map(len, units))
    states = np.full((len(units), 2 * longest + 1), BLANK, dtype=np.int64)
    for row, text in zip(states, units, strict=True):
        row[1 : 2 * len(text) : 2] = text
    return states


def _best_path(
    emissions: NDArray[np.float32],
    within: NDArray[np.bool_],
    states: NDArray[np.int64],
    counts: Sequence[int],
) -> NDArray[np.int64]:
    """`(B, U)` the state of the best path at each frame; constant after the end."""
    batch, n_frames, n_states = emissions.shape
    # A path may skip the blank before a unit, unless the unit repeats the one before.
    over = np.full((batch, n_states), -math.inf, np.float32)
    over[:, 3::2] = np.where(states[:, 3::2] != states[:, 1:-2:2], 0.0, -math.inf)
    score = np.full((batch, n_states + 2), -math.inf, np.float32)
    score[:, 2] = 0.0  # two unreachable states in front turn the shifts below into slices
    score[:, 2:4] = np.where(within[:, :1], emissions[:, 0, :2], score[:, 2:4])
    stay, following, before = score[:, 2:], score[:, 1:-1], score[:, :-2]  # views
    stays, nexts = np.ones((2, n_frames, batch, n_states), np.bool_)
    for frame in range(1, n_frames):
        past = before + over
        nearer = np.maximum(stay, following)
        best = np.maximum(nearer, past)
        inside = within[:, frame, None]
        np.greater_equal(stay, best, out=stays[frame])
        np.greater_equal(nearer, past, out=nexts[frame])
        np.copyto(stay, best + emissions[:, frame], where=inside)
    steps = np.where(nexts, np.uint8(_NEXT), np.uint8(_OVER))
    steps[stays | ~within.T[:, :, None]] = _STAY
    last = 2 * np.array(counts)  # (B,) the last blank
    row = np.arange(batch)
    # Without units there is no state before state 0.
    state = last - (score[row, last + 1] > score[row, last + 2])
    path = [state]
    for frame in range(n_frames - 1, 0, -1):
        state = state - steps[frame, row, state]
        path.append(state)
    return np.stack(path[::-1], axis=1)


def _hypotheses(
    path: NDArray[np.int64],
    said: NDArray[np.float64],
    lengths: Sequence[int],
    units: Sequence[Sequence[int]],
) -> list[Hypothesis]:
    hypotheses = []
    for states, scores, frames, text in zip(path, said, lengths, units, strict=True):
        of_unit = 2 * np.arange(len(text)) + 1
        starts = np.searchsorted(states[:frames], of_unit)
        ends = np.searchsorted(states[:frames], of_unit, side="right")
        # Sums of posteriors up to each frame; rounding can lift a log-probability above 0.
        sums = np.concatenate([[0.0], np.cumsum(np.exp(np.minimum(scores, 0.0)))])
        hypotheses.append(
            Hypothesis(
                units=tuple(text),
                starts=tuple(starts.tolist()),
                ends=tuple(ends.tolist()),
                confidences=tuple(((sums[ends] - sums[starts]) / (ends - starts)).tolist()),
                score=float(scores.sum()),
            )
        )
    return hypotheses
