"""Where a long lattice may be parted for a search: in its longest pauses.

A beam search reads frame by frame; parts of one recording are read side by side, as if they were
utterances, and in bounded memory. Shapes: U frames, V units.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from asr.text import BLANK


def part(lattice: Tensor, longest: int) -> list[tuple[int, int]]:
    """Runs of frames `[first, end)` that a lattice `(U, V)` parts into, none over `longest`.

    A cut lies in the middle of the longest run of frames that are blank more likely than not, in
    the second half of what a part may hold; without one, where the blank is likeliest.
    """
    frames = len(lattice)
    if frames <= longest:
        return [(0, frames)]
    blank = lattice[:, BLANK].float().exp().cpu().numpy()  # (U,)
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
