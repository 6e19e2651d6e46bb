"""Any recording -> `Audio`: mono float32 samples at 16 kHz."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

SAMPLE_RATE = 16_000

AudioSource: TypeAlias = str | os.PathLike[str] | bytes | tuple[npt.ArrayLike, int]
"""A path, an encoded file's bytes, or `(samples, rate)` with samples `(S,)` or `(S, channels)`."""


@dataclass(frozen=True)
class Limits:
    """How much sound is accepted; counted while decoding, whatever the header claims."""

    max_seconds: float = 4 * 3600.0


@dataclass(frozen=True, eq=False)
class Audio:
    """A recording: `samples` is `(S,)` float32 in [-1, 1], mono, at `SAMPLE_RATE`."""

    samples: npt.NDArray[np.float32]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


def load(source: AudioSource, limits: Limits = Limits(), name: str | None = None) -> Audio:
    """The recording in `source`."""
    file = io.BytesIO(source) if isinstance(source, bytes) else Path(source)
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE)
    return Audio(np.ascontiguousarray(mono, dtype=np.float32))
