"""Measurements of recordings: length, peak, clipping."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from asr.audio import Audio
from asr.errors import BadAudio, BadOption, TooLong

Samples16: TypeAlias = npt.NDArray[np.int16]

_FULL_SCALE = 0.999


@dataclass(frozen=True)
class Measurement:
    """The measurements of one recording."""

    samples: int
    """Length at 16 kHz."""
    peak: float = 0.0
    """The loudest sample."""
    clipped: float = 0.0
    """Share of samples at full scale."""
    problem: str | None = None
    """Why it cannot be decoded, in one sentence."""


class Measurements(Sequence[Measurement]):
    """The measurements of many recordings, as columns that processes can share in memory."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        rows = list(measurements)
        self.samples = np.array([measurement.samples for measurement in rows], np.int64)
        self._peaks = np.array([measurement.peak for measurement in rows])
        self._clipped = np.array([measurement.clipped for measurement in rows])
        problems = {
            at: measurement.problem for at, measurement in enumerate(rows) if measurement.problem
        }
        self._problems: dict[int, str] = problems

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> Measurement: ...
    @overload
    def __getitem__(self, index: slice) -> list[Measurement]: ...
    def __getitem__(self, index: int | slice) -> Measurement | list[Measurement]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        problem = self._problems.get(at)
        return Measurement(
            int(self.samples[at]), float(self._peaks[at]), float(self._clipped[at]), problem
        )

    def __iter__(self) -> Iterator[Measurement]:
        return (self[at] for at in range(len(self)))

    def save(self, file: Any, names: npt.NDArray[Any]) -> None:
        """Writes them to an open file, beside the names of their recordings."""
        problems = np.array([self._problems.get(at, "") for at in range(len(self))], dtype=str)
        np.savez(
            file,
            samples=self.samples,
            peak=self._peaks,
            clipped=self._clipped,
            problem=problems,
            names=names,
        )

    @classmethod
    def load(cls, path: Path) -> "Measurements":
        """The measurements in a file of `save`."""
        with np.load(path) as table:
            columns = (table[name].tolist() for name in ("samples", "peak", "clipped", "problem"))
            rows = zip(*columns, strict=True)
            return cls(Measurement(n, peak, share, why or None) for n, peak, share, why in rows)


def decode(load: Callable[[], Audio]) -> tuple[Measurement, Samples16]:
    """A recording's measurements and 16-bit samples; no samples if it cannot be decoded."""
    try:
        samples = load().samples
    except (BadAudio, BadOption, TooLong) as error:
        return Measurement(0, problem=str(error)), np.zeros(0, np.int16)
    loudness = np.abs(samples)
    measurement = Measurement(
        samples=len(samples),
        peak=float(loudness.max(initial=0.0)),
        clipped=float((loudness >= _FULL_SCALE).mean()) if len(samples) else 0.0,
    )
    return measurement, np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
