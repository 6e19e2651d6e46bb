"""What happens in a recording, frame by frame, and which cells follow it.

Shapes: T feature frames, F mels, U output frames, H hidden units, E events.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.text import BLANK
from asr.text.pronunciations.dictionary import ARPABET_VOWELS
from asr.transcript import Word

_VOWELS = frozenset(["a", "e", "i", "o", "u", *ARPABET_VOWELS])
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Event:
    """Something that a cell may follow: `(U,)` its strength in each frame."""

    name: str
    series: FloatArray


def events(
    units: Sequence[str],
    path: NDArray[np.int64],
    log_mel: FloatArray,
    words: Sequence[Word],
    frame_seconds: float,
) -> tuple[Event, ...]:
    """Loudness, pauses, word starts and vowels.

    A frame between the start and the end of a word is part of it, all others are pauses. Within a
    word, a frame belongs to the unit whose spike on the best path is nearest.

    Args:
        units: what each unit stands for: letters or phones.
        path: `(U,)` the most probable unit of each frame.
        log_mel: `(T, F)`.
    """
    frames = len(path)
    times = (np.arange(frames) + 0.5) * frame_seconds
    pause, start = np.ones(frames, np.float32), np.zeros(frames, np.float32)
    for word in words:
        pause[(times >= word.start) & (times < word.end)] = 0.0
        start[np.abs(times - word.start) < frame_seconds] = 1.0
    per_frame = max(1, round(len(log_mel) / frames))
    loudness = [log_mel[at * per_frame : (at + 1) * per_frame] for at in range(frames)]
    loud = np.array([part.mean() if len(part) else 0.0 for part in loudness], np.float32)
    vowel = _nearest(path, [unit in _VOWELS for unit in units]) * (1.0 - pause)
    return (
        Event("loudness", loud),
        Event("pause", pause),
        Event("word start", start),
        Event("vowel", vowel.astype(np.float32)),
    )


def _nearest(path: NDArray[np.int64], chosen: Sequence[bool]) -> FloatArray:
    """`(U,)` 1 where the nearest frame with a unit has one of those chosen."""
    spikes = np.flatnonzero(path != BLANK)
    if not len(spikes):
        return np.zeros(len(path), np.float32)
    at = np.abs(np.arange(len(path))[:, None] - spikes).argmin(axis=1)
    nearest: FloatArray = np.array(chosen, np.float32)[path[spikes[at]]]
    return nearest


def correlations(memory: FloatArray, found: Sequence[Event]) -> FloatArray:
    """`(H, E)` Pearson's correlation of each cell's memory `(U, H)` with each event.

    0 where one of them does not change. A correlation is no proof that a cell serves a purpose.
    """
    series = np.stack([event.series for event in found], axis=1)  # (U, E)
    x, y = _standard(memory), _standard(series)
    return (x.T @ y / len(x)).astype(np.float32)


def _standard(x: FloatArray) -> NDArray[np.float64]:
    """`x` with mean 0 and deviation 1 in each column, 0 where it is constant."""
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    deviation = centred.std(axis=0)
    return np.where(deviation > 1e-9, centred / np.maximum(deviation, 1e-9), 0.0)
