"""Arrays in files of one folder: the operating system keeps in memory what it has room for."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Spool:
    """Makes arrays whose content lies in files of `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = count()

    def zeros(self, length: int, dtype: DTypeLike) -> NDArray[Any]:
        """An array of zeros that can be written to."""
        if not length:  # an empty file cannot be mapped
            return np.zeros(0, dtype)
        return np.memmap(self._path(), dtype, mode="w+", shape=length)

    def growing(self, dtype: DTypeLike) -> "Growing":
        """An array whose length is not known yet."""
        return Growing(self._path(), dtype)

    def _path(self) -> Path:
        return self._folder / f"{next(self._names)}.array"


class Growing:
    """An array that is written piece by piece, then read."""

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self._path, self._dtype = path, np.dtype(dtype)
        self._file = path.open("wb")

    def append(self, values: NDArray[Any]) -> None:
        """Adds values at the end."""
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)

    def finish(self) -> NDArray[Any]:
        """All of it, to read; its file goes when the array does."""
        self._file.close()
        if not self._path.stat().st_size:
            return np.zeros(0, self._dtype)
        array: NDArray[Any] = np.memmap(self._path, self._dtype, mode="r")
        self._path.unlink()
        return array


def blocks(length: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `length`."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))
