"""Arrays in unnamed temporary files; the operating system caches them in memory.

Nothing is left behind, however the process ends.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class TemporaryArrays:
    """Creates arrays whose content is in files on the disk of `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def zeros(self, length: int, dtype: DTypeLike) -> NDArray[Any]:
        """A writable array of zeros."""
        if not length:  # an empty file cannot be mapped
            return np.zeros(0, dtype)
        with tempfile.TemporaryFile(dir=self._folder) as file:
            return np.memmap(file, dtype, mode="w+", shape=length)

    def growing(self, dtype: DTypeLike) -> "GrowingArray":
        """An array that grows by appending."""
        return GrowingArray(self._folder, dtype)


class GrowingArray:
    """An array that is written piece by piece, then read; its file is deleted with it."""

    def __init__(self, folder: Path, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, closed by `finish`

    def append(self, values: NDArray[Any]) -> None:
        """Adds values at the end."""
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)

    def finish(self) -> NDArray[Any]:
        """The whole array, to read."""
        with self._file as file:
            if not file.tell():
                return np.zeros(0, self._dtype)
            file.flush()
            return np.memmap(file, self._dtype, mode="r")


def blocks(length: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `length`."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))
