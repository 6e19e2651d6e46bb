"""Long recordings: where to cut them into windows, and how windows make one lattice again.

A recording is cut on the grid of output frames, so frame k of a piece that starts at frame k0 is
frame k0 + k of the whole. Each piece has some seconds of context on both sides, which are
discarded: there the recurrent layers warm up, and the effect of a convolution's padding fades. The
joined log-probabilities have exactly the frames of one pass, and are decoded once.

With features normalised per utterance, each piece is normalised by its own statistics instead of
those of the whole recording, so words near seams may differ from one pass. With features normalised
by the corpus there is no such difference.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from asr.bundle import Bundle

WINDOW_SECONDS = 360.0
"""Longest piece, including context: half as much work again as one pass, and about 360 MB of
activations."""
CONTEXT_SECONDS = 60.0
"""Context on each side of a piece's kept frames.

The gates carry memory far, and farther the longer a model was trained: on twenty minutes of
speech 0.2 to 0.4 % of words differed from one pass with windows of 240 s and 30 s of context, at
most 0.03 % with these (`benchmarks/seams.py`)."""


@dataclass(frozen=True)
class Grid:
    """Where cuts may lie, and how large pieces are."""

    frame_samples: int
    """Samples between output frames."""
    frames: Callable[[int], int]
    """Output frames of a recording of so many samples."""
    longest: int
    """Most frames in one piece."""
    context: int
    """Frames of context on each side."""

    @classmethod
    def of(cls, bundle: Bundle) -> "Grid":
        """The grid of a bundle's model."""
        model = bundle.model
        return cls(
            frame_samples=model.frame_samples,
            frames=model.frames,
            longest=int(WINDOW_SECONDS / model.frame_seconds),
            context=int(CONTEXT_SECONDS / model.frame_seconds),
        )


@dataclass(frozen=True)
class Window:
    """A piece of a recording: samples `[start, stop)`, with context around its kept frames."""

    start: int
    """First sample, on the grid."""
    stop: int
    """The sample after the last one."""
    skip: int
    """Frames of context before the kept ones."""
    keep: int
    """Frames kept."""


def cut(samples: int, grid: Grid) -> list[Window]:
    """The pieces of a recording, in order; their kept frames are those of one pass.

    A recording up to the length of a window is one piece. A longer one is cut evenly, so that
    pieces have similar lengths and fill a batch without padding.
    """
    frames = grid.frames(samples)
    if frames <= grid.longest:
        return [Window(0, samples, 0, frames)]
    count = -(-frames // (grid.longest - 2 * grid.context))
    bounds = [index * frames // count for index in range(count + 1)]
    windows = []
    for first, end in pairwise(bounds):
        start = max(0, first - grid.context)
        # The last pieces include trailing samples that fill no frame, as one pass does.
        stop = end + grid.context
        windows.append(
            Window(
                start=start * grid.frame_samples,
                stop=samples if stop >= frames else stop * grid.frame_samples,
                skip=first - start,
                keep=end - first,
            )
        )
    return windows


def batches(costs: Sequence[float], limit: float) -> Iterator[list[int]]:
    """Indices of `costs`, the highest first, in batches whose padded cost is at most `limit`.

    An item above the limit is a batch of its own. Items in a batch have similar costs, which keeps
    padding small, and what does not fit into memory fails first.
    """
    batch: list[int] = []
    for index in sorted(range(len(costs)), key=lambda index: -costs[index]):
        if batch and costs[batch[0]] * (len(batch) + 1) > limit:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
