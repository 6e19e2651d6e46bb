"""Measurements of recordings, kept from one command to the next."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from asr.corpus.manifest import Utterance
from asr.corpus.recordings.measurements import Measurement

_AT_ONCE = 500  # SQLite takes up to 999 variables in its oldest versions


def measurement_file() -> Path:
    """The user's file of measurements, in the folder of caches."""
    folder = os.environ.get("XDG_CACHE_HOME")
    return (Path(folder) if folder else Path.home() / ".cache") / "earshot" / "sounds.sqlite"


def state(utterance: Utterance) -> str:
    """A key that changes with the sound: its file, the file's size and time of last change, and
    the stretch of it."""
    path, status = utterance.audio.resolve(), utterance.audio.stat()
    part = f"\t{utterance.start!r}\t{utterance.end!r}" if utterance.is_part else ""
    return f"{path}\t{status.st_size}\t{status.st_mtime_ns}{part}"


class MeasurementFile:
    """Measurements by the `state` of their recordings, in a file that several processes may use.

    Recordings that cannot be decoded are not kept. If the file cannot be used, nothing is kept,
    which only costs time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, states: Sequence[str]) -> dict[str, Measurement]:
        """The measurements of the states that the file has."""
        try:
            with closing(self._opened()) as table:
                return dict(self._known(table, states))
        except (OSError, sqlite3.Error):
            return {}

    def write(self, measurements: Mapping[str, Measurement]) -> None:
        """Keeps these."""
        rows = [
            (state, measurement.samples, measurement.peak, measurement.clipped)
            for state, measurement in measurements.items()
            if measurement.problem is None
        ]
        try:
            with closing(self._opened()) as table, table:
                table.executemany("INSERT OR REPLACE INTO sounds VALUES (?, ?, ?, ?)", rows)
        except (OSError, sqlite3.Error):
            return

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        table = sqlite3.connect(self._path, timeout=30.0)
        table.execute(
            "CREATE TABLE IF NOT EXISTS sounds (state TEXT PRIMARY KEY, samples INTEGER, peak REAL,"
            " clipped REAL) WITHOUT ROWID"
        )
        return table

    def _known(
        self, table: sqlite3.Connection, states: Sequence[str]
    ) -> Iterator[tuple[str, Measurement]]:
        for first in range(0, len(states), _AT_ONCE):
            some = states[first : first + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            for row in table.execute(f"SELECT * FROM sounds WHERE state IN ({marks})", some):
                yield row[0], Measurement(*row[1:])
