"""The samples of a stream that are still needed."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""`(S,)` at 16 kHz."""


class Held:
    """A stream of samples whose beginning is forgotten as it goes on."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.float32)
        self._first = 0  # sample of the stream at the start of the memory
        self._count = 0

    @property
    def stop(self) -> int:
        """Samples that have come, forgotten ones included."""
        return self._first + self._count

    def add(self, samples: Samples) -> None:
        """Take the next samples `(S,)`."""
        count = self._count + len(samples)
        if count > len(self._memory):  # twice as much: else each message would copy all
            grown = np.empty(2 * count, np.float32)
            grown[: self._count] = self._memory[: self._count]
            self._memory = grown
        self._memory[self._count : count] = samples
        self._count = count

    def cut(self, start: int, stop: int) -> Samples:
        """A copy of the samples `[start, stop)` of the stream, of those that are held."""
        return self._memory[start - self._first : stop - self._first].copy()

    def forget(self, before: int) -> None:
        """Samples before that one are not needed any more."""
        if before > self._first:
            self._memory = self._memory[before - self._first : self._count].copy()
            self._first, self._count = before, len(self._memory)
