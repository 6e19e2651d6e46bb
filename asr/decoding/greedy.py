"""Greedy decoding: the best unit of every frame, repeats merged, blanks dropped.

Shapes: B batch, U frames, V units, R runs of equal units over the whole batch.
"""

import numpy as np
from numpy.typing import NDArray

from asr.decoding.hypothesis import Hypothesis
from asr.text import BLANK

_PADDING = -1  # no unit: marks frames after an utterance's end


def greedy(log_probs: NDArray[np.float32], lengths: NDArray[np.int64]) -> list[Hypothesis]:
    """The most probable CTC path of each utterance; of equally probable units the lowest wins.

    Args:
        log_probs: `(B, U, V)`; frames after an utterance's length are not used.
        lengths: `(B,)` frames of each utterance, 0 allowed.
    """
    batch, frames, _ = log_probs.shape
    if batch == 0 or frames == 0:
        return [Hypothesis((), (), (), (), 0.0)] * batch
    units, scores = _best(log_probs, lengths)
    starts = np.flatnonzero(np.diff(units, axis=1, prepend=_PADDING - 1))  # (R,)
    counts = np.diff(starts, append=units.size)
    # Rounding can lift a log-probability above 0.
    posteriors = np.exp(np.minimum(scores, 0.0)).ravel()
    confidences = np.add.reduceat(posteriors, starts) / counts
    rows, firsts = np.divmod(starts, frames)
    spelled = units.ravel()[starts]
    is_unit = spelled > BLANK
    runs = [column[is_unit] for column in (rows, spelled, firsts, firsts + counts, confidences)]
    return _hypotheses(runs, scores.sum(axis=1))


def _best(
    log_probs: NDArray[np.float32], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Best unit and its log-probability at each frame, both `(B, U)`; padding is marked."""
    best = log_probs.argmax(axis=-1)  # (B, U)
    values = np.take_along_axis(log_probs, best[:, :, None], axis=-1)[:, :, 0]
    padding = np.arange(best.shape[1]) >= lengths[:, None]
    units = np.where(padding, _PADDING, best)
    return units, np.where(padding, 0.0, values).astype(np.float64)


def _hypotheses(
    runs: list[NDArray[np.int64] | NDArray[np.float64]], scores: NDArray[np.float64]
) -> list[Hypothesis]:
    """One hypothesis per utterance from the runs of all: rows, units, starts, ends, confidences."""
    rows, *columns = runs
    bounds = np.searchsorted(rows, np.arange(len(scores) + 1)).tolist()
    units, starts, ends, confidences = (column.tolist() for column in columns)
    return [
        Hypothesis(
            units=tuple(units[first:end]),
            starts=tuple(starts[first:end]),
            ends=tuple(ends[first:end]),
            confidences=tuple(confidences[first:end]),
            score=score,
        )
        for first, end, score in zip(bounds[:-1], bounds[1:], scores.tolist(), strict=True)
    ]
