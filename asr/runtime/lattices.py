"""Recordings of any length -> log-probabilities, in batches of bounded size.

Shapes: B batch, U frames, V units.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from asr.audio import SAMPLE_RATE
from asr.runtime.engine import Engine, Wave
from asr.runtime.windows import Grid, batches, cut


def lattices(engine: Engine, waves: Sequence[Wave], grid: Grid) -> list[Tensor]:
    """`(U, V)` log-probabilities of each recording, joined from its windows.

    Windows of all recordings go through the engine together, those of like length in one batch.
    """
    windows = [
        (index, window) for index, wave in enumerate(waves) for window in cut(len(wave), grid)
    ]
    seconds = [(window.stop - window.start) / SAMPLE_RATE for _, window in windows]
    kept: dict[int, Tensor] = {}
    for batch in batches(seconds, engine.batch_seconds):
        chosen = [windows[position] for position in batch]
        log_probs, _ = engine(
            [waves[index][window.start : window.stop] for index, window in chosen]
        )
        for position, row, (_, window) in zip(batch, log_probs, chosen, strict=True):
            kept[position] = row[window.skip : window.skip + window.keep]
    pieces: list[list[Tensor]] = [[] for _ in waves]
    for position, (index, _) in enumerate(windows):
        pieces[index].append(kept[position])
    return [piece[0] if len(piece) == 1 else torch.cat(piece) for piece in pieces]  # (U, V) each
