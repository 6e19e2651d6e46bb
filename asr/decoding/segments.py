"""Where a long lattice is cut into segments for a search: in its longest pauses.

A beam search goes frame by frame. Segments of one recording are searched side by side, as if they
were utterances, and in bounded memory. Shapes: U frames, V units.
"""

import numpy as np
from numpy.typing import NDArray

from asr.text import BLANK


def segments(lattice: NDArray[np.float32], longest: int) -> list[tuple[int, int]]:
    """Segments `[first, end)` in frames of a lattice `(U, V)`, none longer than `longest`.

    A cut lies in the middle of the longest run of frames that are more probably blank than not,
    in the second half of the longest possible segment; if there is none, at the most probable
    blank.
    """
    frames = len(lattice)
    if frames <= longest:
        return [(0, frames)]
    blank = np.exp(lattice[:, BLANK])  # (U,)
    bounds = [0]
    while frames - bounds[-1] > longest:
        first = bounds[-1] + max(1, longest // 2)
        bounds.append(first + _pause(blank[first : bounds[-1] + longest + 1]))
    return list(zip(bounds, [*bounds[1:], frames], strict=True))


def _pause(blank: NDArray[np.float32]) -> int:
    edges = np.flatnonzero(np.diff(blank > 0.5, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return int(blank.argmax())
    widest = int((ends - begins).argmax())
    return int(begins[widest] + ends[widest]) // 2
