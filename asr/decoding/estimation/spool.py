"""Arrays in files without names: the operating system keeps in memory what it has room for.

Nothing of them is left behind, however the process ends.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Spool:
    """Makes arrays whose content lies in files on the disk of `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def zeros(self, length: int, dtype: DTypeLike) -> NDArray[Any]:
        """An array of zeros that can be written to."""
        if not length:  # an empty file cannot be mapped
            return np.zeros(0, dtype)
        with tempfile.TemporaryFile(dir=self._folder) as file:
            return np.memmap(file, dtype, mode="w+", shape=length)

    def growing(self, dtype: DTypeLike) -> "Growing":
        """An array whose length is not known yet."""
        return Growing(self._folder, dtype)


class Growing:
    """An array that is written piece by piece, then read; its file goes when the array does."""

    def __init__(self, folder: Path, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, closed by `finish`

    def append(self, values: NDArray[Any]) -> None:
        """Adds values at the end."""
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)

    def finish(self) -> NDArray[Any]:
        """All of it, to read."""
        with self._file as file:
            if not file.tell():
                return np.zeros(0, self._dtype)
            file.flush()
            return np.memmap(file, self._dtype, mode="r")


def blocks(length: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `length`."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))
