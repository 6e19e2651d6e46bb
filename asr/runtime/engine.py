"""The one small interface that everything which runs an acoustic model stands behind.

Shapes: B batch, S samples, U frames, V units.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Wave = NDArray[np.float32]
"""`(S,)` samples at 16 kHz, all finite."""


class Engine(Protocol):
    """Runs an acoustic model; safe to call from several threads at once."""

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda"."""
        ...

    @property
    def batch_seconds(self) -> float:
        """Padded seconds of audio that one call takes with profit."""
        ...

    def __call__(self, waves: Sequence[Wave]) -> tuple[Tensor, Tensor]:
        """`(log_probs, lengths)`: `(B, U, V)` float32 on the device, `(B,)` int64 on the CPU.

        Each utterance's log-probabilities depend on its own wave alone. A wave too short for
        one analysis window has no frames. Frames behind an utterance's length hold no meaning.
        """
        ...


def pad(waves: Sequence[Wave]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """`(wave, wave_lengths)`: `(B, S)` zero-padded behind each wave, and `(B,)` samples."""
    wave_lengths = np.array([len(wave) for wave in waves], dtype=np.int64)
    padded = np.zeros((len(waves), wave_lengths.max(initial=0)), dtype=np.float32)
    for row, wave in zip(padded, waves, strict=True):
        row[: len(wave)] = wave
    return padded, wave_lengths
