"""Long recordings: where to cut them into windows, and how windows make one lattice again.

All windows but the last have the same length, so a recording of any length can be cut while it is
read. It is cut on the grid of output frames, so frame k of a piece that starts at frame k0 is
frame k0 + k of the whole. Each piece has some seconds of context on both sides, which are
discarded: there the recurrent layers warm up, and the effect of a convolution's padding fades. The
joined log-probabilities have exactly the frames of one pass, and are decoded once.

With features normalised per utterance, each piece is normalised by its own statistics instead of
those of the whole recording, so words near seams may differ from one pass. With features normalised
by the corpus there is no such difference.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from asr.bundle import Bundle
from asr.runtime.engine import Wave

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

    A recording up to the length of a window is one piece. In a longer one all but the last have
    that length.
    """
    windows = [_window(0, samples, grid)]
    while windows[-1].stop < samples:
        last = windows[-1]
        first = last.start // grid.frame_samples + last.skip + last.keep
        windows.append(_window(first, samples, grid))
    return windows


def _window(first: int, samples: int, grid: Grid) -> Window:
    """The piece whose kept frames begin at `first`: to the end of the samples, if that is near."""
    start = max(0, first - grid.context)
    skip, end = first - start, start + grid.longest
    begins = start * grid.frame_samples
    if grid.frames(samples) > end:
        stop = end * grid.frame_samples
        return Window(begins, stop, skip, grid.longest - grid.context - skip)
    # The last piece includes trailing samples that fill no frame, as one pass does.
    return Window(begins, samples, skip, grid.frames(samples) - first)


def windows_of(pieces: Iterable[Wave], grid: Grid) -> Iterator[tuple[Window, Wave]]:
    """The windows of `cut` with their samples, each as soon as those are read.

    Args:
        pieces: of the recording, in order; no more than a window of them is held.
    """
    held, origin, first = np.empty(0, np.float32), 0, 0
    waiting: list[Wave] = []
    samples = 0
    for piece in pieces:
        waiting.append(piece)
        samples += len(piece)
        while (window := _window(first, samples, grid)).stop < samples:
            held = np.concatenate([held, *waiting])
            waiting = []
            yield window, held[window.start - origin : window.stop - origin]
            first += window.keep
            begin = max(0, first - grid.context) * grid.frame_samples
            held, origin = held[begin - origin :], begin
    window = _window(first, samples, grid)
    yield window, np.concatenate([held, *waiting])[window.start - origin :]


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
