"""Recordings of any length -> log-probabilities, in batches of bounded size.

Shapes: B batch, U frames, V units.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

import numpy as np

from asr.audio import SAMPLE_RATE
from asr.runtime.engine import Engine, LogProbs, Wave
from asr.runtime.kept import KeptRow, completed
from asr.runtime.windows import WINDOW_SECONDS, Grid, Window, batches, cut, windows_of


def rows(engine: Engine, waves: Sequence[Wave]) -> list[LogProbs]:
    """`(U, V)` log-probabilities of each wave, from one call of the engine."""
    log_probs, lengths = engine(waves)
    return [row[:length] for row, length in zip(log_probs, lengths.tolist(), strict=True)]


def join(windows: Sequence[Window], rows: Sequence[LogProbs]) -> LogProbs:
    """`(U, V)` log-probabilities of a recording from those of all its windows, in order."""
    kept = [
        row[window.skip : window.skip + window.keep]
        for window, row in zip(windows, rows, strict=True)
    ]
    return kept[0] if len(kept) == 1 else np.concatenate(kept)


def lattices(engine: Engine, waves: Sequence[Wave], grid: Grid) -> list[LogProbs]:
    """`(U, V)` log-probabilities of each recording, joined from its windows.

    Windows of all recordings go through the engine together, batched by similar length.
    """
    cuts = [cut(len(wave), grid) for wave in waves]
    pieces = [
        wave[window.start : window.stop]
        for wave, windows in zip(waves, cuts, strict=True)
        for window in windows
    ]
    results: dict[int, LogProbs] = {}
    seconds = [len(piece) / SAMPLE_RATE for piece in pieces]
    for batch in batches(seconds, engine.batch_seconds):
        results.update(zip(batch, rows(engine, [pieces[index] for index in batch]), strict=True))
    ordered = iter([results[index] for index in range(len(pieces))])
    return [join(windows, [next(ordered) for _ in windows]) for windows in cuts]


def lattice_parts(
    engine: Engine,
    pieces: Iterable[Wave],
    grid: Grid,
    kept: Callable[[int], KeptRow] | None = None,
) -> Iterator[list[LogProbs]]:
    """The parts `(U, V)` of a recording's lattice, in order, while its samples come.

    As many come at a time as the engine takes at once.

    Args:
        kept: the file of a window, by its place in the recording.
    """
    windows = enumerate(windows_of(pieces, grid))
    most = max(1, int(engine.batch_seconds / WINDOW_SECONDS))
    while batch := list(islice(windows, most)):
        files = [kept(index) if kept else None for index, _ in batch]
        found = completed(partial(rows, engine), [wave for _, (_, wave) in batch], files)
        yield [
            row[window.skip : window.skip + window.keep]
            for (_, (window, _)), row in zip(batch, found, strict=True)
        ]
