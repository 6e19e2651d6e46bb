"""Long recordings: where to cut them, and how their pieces make one lattice again.

A recording is cut on the grid of output frames, so frame k of a piece that starts at frame k0 is
frame k0 + k of the whole. Each piece has some seconds more on both sides than is kept of it:
there the recurrent layers warm up, and there the zeros that a convolution sees at a cut fade.
The kept log-probabilities, joined, have exactly the frames of one pass, and are decoded once.

With features normalised per utterance each piece is normalised by its own statistics instead of
the whole recording's: loudness that changes within a recording is then followed piece by piece,
and words near seams may differ from one pass. Bundles normalised by the corpus have no such
difference.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from asr.bundle import Bundle

WINDOW_SECONDS = 360.0
"""Longest piece, context included: half more work than one pass, about 360 MB of activations."""
CONTEXT_SECONDS = 60.0
"""Context on each side of what is kept of a piece.

The gates carry memory far, and the farther the longer a model was trained: on twenty minutes of
speech 0.2 to 0.4 % of words differed from one pass with windows of 240 s and 30 s of context, at
most 0.03 % with these (`benchmarks/seams.py`)."""


@dataclass(frozen=True)
class Grid:
    """Where cuts may lie, and how large pieces are."""

    frame_samples: int
    """Samples from one output frame to the next."""
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
    """A piece of a recording: samples `[start, stop)`, a few frames more than are kept of it."""

    start: int
    """First sample, on the grid."""
    stop: int
    """The sample behind the last one."""
    skip: int
    """Frames of context in front of those kept."""
    keep: int
    """Frames kept."""


def cut(samples: int, grid: Grid) -> list[Window]:
    """The pieces of a recording, in order; their kept frames are those of one pass.

    A recording no longer than a window is one piece. A longer one is cut evenly, so that all
    pieces are of much the same length and fill a batch without padding.
    """
    frames = grid.frames(samples)
    if frames <= grid.longest:
        return [Window(0, samples, 0, frames)]
    count = -(-frames // (grid.longest - 2 * grid.context))
    bounds = [index * frames // count for index in range(count + 1)]
    windows = []
    for first, end in pairwise(bounds):
        start = max(0, first - grid.context)
        # The last pieces take the tail of samples that fill no frame, as one pass would.
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
    """Indices of `costs`, dearest first, in batches whose padded cost stays within `limit`.

    An item dearer than the limit comes alone. Neighbours cost about the same, which keeps
    padding small, and what does not fit in memory fails first.
    """
    batch: list[int] = []
    for index in sorted(range(len(costs)), key=lambda index: -costs[index]):
        if batch and costs[batch[0]] * (len(batch) + 1) > limit:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
