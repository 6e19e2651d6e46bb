"""Where a long lattice is cut for a search: in its longest pauses.

A beam search goes frame by frame. Pieces of one recording are searched side by side, as if they
were utterances, and in bounded memory. Shapes: U frames, V units.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from asr.decoding.lattice import Lattice
from asr.text import BLANK


class Cutter:
    """Cuts a lattice `(U, V)` whose parts come one after another.

    A cut lies in the middle of the longest run of frames that are more probably blank than not,
    in the second half of the longest possible piece; if there is none, at the most probable
    blank. So it does not depend on what comes after that.

    Args:
        longest: the most frames of a piece.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._first = 0
        self._held: Lattice | None = None

    def add(self, part: Lattice) -> Iterator[tuple[int, Lattice]]:
        """The pieces `(U, V)` that are known with the next part, each with its first frame."""
        held = part if self._held is None else np.concatenate([self._held, part])
        while len(held) > self._longest:
            end = _end(held[: self._longest + 1])
            yield self._first, held[:end]
            self._first, held = self._first + end, held[end:]
        self._held = held

    def end(self) -> tuple[int, Lattice]:
        """The last piece, after at least one part; it may be empty."""
        assert self._held is not None
        return self._first, self._held


def cut(lattice: Lattice, longest: int) -> list[tuple[int, Lattice]]:
    """The pieces of a lattice `(U, V)`, each with its first frame: one if it is not longer."""
    cutter = Cutter(longest)
    return [*cutter.add(lattice), cutter.end()]


def _end(lattice: Lattice) -> int:
    """Where a piece ends that cannot hold the last frame."""
    middle = max(1, (len(lattice) - 1) // 2)
    return middle + _pause(np.exp(lattice[middle:, BLANK]))


def _pause(blank: NDArray[np.float32]) -> int:
    edges = np.flatnonzero(np.diff(blank > 0.5, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return int(blank.argmax())
    widest = int((ends - begins).argmax())
    return int(begins[widest] + ends[widest]) // 2
