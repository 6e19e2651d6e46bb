"""Parts of the cache of decoded recordings.

A part is two files: `KEY.i16` holds the samples of some recordings end to end as 16-bit integers,
`KEY.npz` their names and measurements. The second is written last: it marks the first as complete.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from asr.corpus.manifest import Utterance
from asr.corpus.recordings.measurement_file import state
from asr.corpus.recordings.measurements import Measurements
from asr.files import replacing

Names = npt.NDArray[np.bytes_]
"""Of recordings: a hash of each one's `state`."""

_DIGITS = 32  # of a hash, in hexadecimal


@dataclass(frozen=True)
class Part:
    """A part of a cache; shapes: N recordings."""

    path: Path
    """`KEY.npz`."""
    names: Names
    """`(N,)`; none in parts that an earlier version wrote, which are not used any more."""
    measurements: Measurements

    @classmethod
    def write(cls, samples: Path, names: Names, measurements: Measurements) -> "Part":
        """The part whose samples are complete."""
        path = samples.with_suffix(".npz")
        with replacing(path) as file:
            measurements.save(file, names)
        return cls(path, names, measurements)

    @cached_property
    def ends(self) -> npt.NDArray[np.int64]:
        """`(N,)` where each recording ends, in samples."""
        return np.cumsum(self.measurements.samples)

    @property
    def bytes(self) -> int:
        """On the disk."""
        return self.path.stat().st_size + _samples_of(self.path).stat().st_size

    @property
    def unused_days(self) -> float:
        """Days since it was last read."""
        return (time.time() - self.path.stat().st_mtime) / 86_400

    def samples(self) -> npt.NDArray[np.int16]:
        """All samples, mapped into memory."""
        if not self.measurements.samples.sum():
            return np.zeros(0, np.int16)
        return np.memmap(_samples_of(self.path), dtype=np.int16, mode="r")

    def mark_as_used(self) -> None:
        """Notes the time, if the folder may be written."""
        if os.access(self.path, os.W_OK):
            os.utime(self.path)

    def remove(self) -> None:
        """Deletes it; a run that reads it keeps what it has opened."""
        self.path.unlink(missing_ok=True)
        _samples_of(self.path).unlink(missing_ok=True)


def read_parts(folder: Path) -> list[Part]:
    """The complete parts in a folder, the oldest first."""
    paths = [path for path in folder.glob("*.npz") if _samples_of(path).is_file()]
    return [_read(path) for path in sorted(paths, key=lambda path: path.stat().st_mtime)]


def names_of(utterances: Sequence[Utterance]) -> Names:
    """`(N,)` the names of their recordings."""
    digests = (hashlib.sha256(state(utterance).encode()) for utterance in utterances)
    return np.array([digest.hexdigest()[:_DIGITS] for digest in digests], f"S{_DIGITS}")


def find(
    parts: Sequence[Part], names: Names
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """`(N,)` the part that has each name, and its row there; -1 if no part has it."""
    part, row = np.full(len(names), -1), np.full(len(names), -1)
    for at, one in enumerate(parts):
        if not len(one.names):
            continue
        order = np.argsort(one.names)
        place = order[np.minimum(np.searchsorted(one.names[order], names), len(order) - 1)]
        hit = one.names[place] == names
        part[hit], row[hit] = at, place[hit]
    return part, row


@contextmanager
def new_samples(folder: Path, names: Names) -> Iterator[tuple[BinaryIO, Path]]:
    """The open file of samples of a new part, and its path once it is complete."""
    path = folder / f"{hashlib.sha256(names.tobytes()).hexdigest()[:16]}.i16"
    with replacing(path) as file:
        yield file, path


def _read(path: Path) -> Part:
    with np.load(path) as table:
        names = table["names"] if "names" in table else np.zeros(0, f"S{_DIGITS}")
    return Part(path, names, Measurements.load(path))


def _samples_of(path: Path) -> Path:
    return path.with_suffix(".i16")
