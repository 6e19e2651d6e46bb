"""What is heard of words besides their letters: the pause behind each, and its pace."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SOUND = 3
_SHORT_S, _LONGEST_S = 0.05, 2.0
_LEAST_S = 0.01
_SCALE = 4.0


def sound(
    words: Sequence[str], starts: Sequence[float], ends: Sequence[float]
) -> NDArray[np.float32]:
    """`(T, SOUND)` for words with their times in seconds, NaN where they are not known.

    The three numbers are 1 where the pause is known, the pause on a scale from 0 to 1, and how much
    longer the word lasts for its letters than the usual one here, as a logarithm. The pause behind
    the last word is not known: a recording may end anywhere.
    """
    found = np.zeros((len(words), SOUND), np.float32)
    if len(words) < 2:
        return found
    begin, end = np.asarray(starts), np.asarray(ends)
    letters = np.array([1 + len(word) for word in words])
    pauses = begin[1:] - end[:-1]
    heard, timed = np.isfinite(pauses), np.isfinite(end - begin)
    found[:-1, 0] = heard
    found[:-1, 1][heard] = pause_scale(pauses[heard])
    if timed.any():
        slow = np.log(np.maximum(end - begin, _LEAST_S)[timed] / letters[timed])
        found[:, 2][timed] = np.clip(slow - np.median(slow), -2.0, 2.0)
    return found


def pause_scale(seconds: NDArray[np.floating]) -> NDArray[np.float32]:
    """Pauses from 0 to 2 s and above on a scale from 0 to about 1, finer where they are short."""
    kept = np.clip(seconds, 0.0, _LONGEST_S)
    return np.asarray(np.log1p(kept / _SHORT_S) / _SCALE, np.float32)
