"""Log-probabilities that are kept in files, so that nobody computes them again after a restart."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.files import replacing
from asr.runtime.engine import LogProbs, Wave


@dataclass(frozen=True)
class KeptRow:
    """The file of the log-probabilities `(U, V)` of one window."""

    path: Path

    def load(self) -> LogProbs | None:
        """What was kept; None if there is no sound file."""
        with contextlib.suppress(OSError, ValueError, EOFError):
            row: LogProbs = np.load(self.path, allow_pickle=False)
            return row
        return None

    def save(self, row: LogProbs) -> None:
        """Keeps the row, where the disk has room: else a restart costs time, and nothing now."""
        with contextlib.suppress(OSError), replacing(self.path) as file:
            np.save(file, row)


def completed(
    run: Callable[[Sequence[Wave]], Sequence[LogProbs]],
    waves: Sequence[Wave],
    kept: Sequence[KeptRow | None],
) -> list[LogProbs]:
    """The row `(U, V)` of each window: from its file, or else from `run`, and then kept there."""
    found = [None if file is None else file.load() for file in kept]
    missing = [index for index, row in enumerate(found) if row is None]
    made = iter(run([waves[index] for index in missing]) if missing else ())
    rows: list[LogProbs] = []
    for row, file in zip(found, kept, strict=True):
        if row is None:
            row = next(made)
            if file is not None:
                file.save(row)
        rows.append(row)
    return rows
