"""The interface of everything that runs an acoustic model.

Shapes: B batch, S samples, U frames, V units.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]
"""`(S,)` samples at 16 kHz, all finite."""
LogProbs = NDArray[np.float32]
"""`(U, V)` natural logs, of one recording."""


class Engine(Protocol):
    """Runs an acoustic model; safe to call from several threads at once."""

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda"."""
        ...

    @property
    def batch_seconds(self) -> float:
        """Padded seconds of audio up to which one call is efficient."""
        ...

    def __call__(self, waves: Sequence[Wave]) -> tuple[LogProbs, NDArray[np.int64]]:
        """`(log_probs, lengths)`: `(B, U, V)` natural logs, `(B,)` frames.

        The log-probabilities of an utterance depend on its own wave alone. A wave shorter than one
        analysis window has no frames. Frames after an utterance's length have no meaning.
        """
        ...


def stacked(rows: Sequence[LogProbs]) -> tuple[LogProbs, NDArray[np.int64]]:
    """Rows `(U, V)`, at least one, as `(B, U, V)` padded with zeros, and their `(B,)` lengths."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    together = np.zeros((len(rows), lengths.max(), rows[0].shape[1]), np.float32)
    for row, place in zip(rows, together, strict=True):
        place[: len(row)] = row
    return together, lengths


def pad(waves: Sequence[Wave]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """`(wave, wave_lengths)`: `(B, S)` padded with zeros, and `(B,)` samples."""
    wave_lengths = np.array([len(wave) for wave in waves], dtype=np.int64)
    padded = np.zeros((len(waves), wave_lengths.max(initial=0)), dtype=np.float32)
    for row, wave in zip(padded, waves, strict=True):
        row[: len(wave)] = wave
    return padded, wave_lengths
