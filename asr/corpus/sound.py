"""What a recording measures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from asr.audio import AudioSource, load
from asr.errors import BadAudio, TooLong

Samples16: TypeAlias = npt.NDArray[np.int16]

_FULL_SCALE = 0.999


@dataclass(frozen=True)
class Sound:
    """What one recording measures."""

    samples: int
    """Length at 16 kHz."""
    peak: float = 0.0
    """The loudest sample."""
    clipped: float = 0.0
    """Share of samples at full scale."""
    problem: str | None = None
    """Why it cannot be decoded, in one sentence."""


class Sounds(Sequence[Sound]):
    """What many recordings measure, as columns: little memory, which processes can share."""

    def __init__(self, sounds: Iterable[Sound]) -> None:
        found = list(sounds)
        self.samples = np.array([sound.samples for sound in found], np.int64)
        self._peaks = np.array([sound.peak for sound in found])
        self._clipped = np.array([sound.clipped for sound in found])
        problems = {at: sound.problem for at, sound in enumerate(found) if sound.problem}
        self._problems: dict[int, str] = problems

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> Sound: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sound]: ...
    def __getitem__(self, index: int | slice) -> Sound | list[Sound]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        problem = self._problems.get(at)
        return Sound(
            int(self.samples[at]), float(self._peaks[at]), float(self._clipped[at]), problem
        )

    def __iter__(self) -> Iterator[Sound]:
        return (self[at] for at in range(len(self)))

    def save(self, file: Any) -> None:
        """Write them to an open file."""
        problems = np.array([self._problems.get(at, "") for at in range(len(self))], dtype=str)
        np.savez(
            file, samples=self.samples, peak=self._peaks, clipped=self._clipped, problem=problems
        )

    @classmethod
    def load(cls, path: Path) -> "Sounds":
        """Those that `save` wrote."""
        with np.load(path) as table:
            columns = (table[name].tolist() for name in ("samples", "peak", "clipped", "problem"))
            rows = zip(*columns, strict=True)
            return cls(Sound(n, peak, share, why or None) for n, peak, share, why in rows)


def decode(source: AudioSource, name: str | None = None) -> tuple[Sound, Samples16]:
    """What a recording measures, and its samples in 16 bits; none where it cannot be decoded."""
    try:
        samples = load(source, name=name).samples
    except (BadAudio, TooLong) as error:
        return Sound(0, problem=str(error)), np.zeros(0, np.int16)
    loudness = np.abs(samples)
    sound = Sound(
        samples=len(samples),
        peak=float(loudness.max(initial=0.0)),
        clipped=float((loudness >= _FULL_SCALE).mean()) if len(samples) else 0.0,
    )
    return sound, np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
