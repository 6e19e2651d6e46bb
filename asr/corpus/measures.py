"""What recordings measure, remembered from one command to the next."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from asr.corpus.manifest import Utterance
from asr.corpus.sound import Sound

_AT_ONCE = 500  # SQLite takes up to 999 variables in its oldest versions


def measures_file() -> Path:
    """Where the user's measures are kept: in the folder of caches."""
    folder = os.environ.get("XDG_CACHE_HOME")
    return (Path(folder) if folder else Path.home() / ".cache") / "earshot" / "sounds.sqlite"


def state(utterance: Utterance) -> str:
    """Changes with the recording: its path, size and time of last change."""
    path, found = utterance.audio.resolve(), utterance.audio.stat()
    return f"{path}\t{found.st_size}\t{found.st_mtime_ns}"


class Measures:
    """Sounds by the `state` of their recordings, in a file that several processes may use.

    Those that cannot be decoded are not kept. Where the file cannot be used nothing is remembered,
    which costs time and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, states: Sequence[str]) -> dict[str, Sound]:
        """The sounds of those states that are known."""
        try:
            with closing(self._opened()) as table:
                return dict(self._known(table, states))
        except (OSError, sqlite3.Error):
            return {}

    def write(self, sounds: Mapping[str, Sound]) -> None:
        """Remember these."""
        rows = [
            (state, sound.samples, sound.peak, sound.clipped)
            for state, sound in sounds.items()
            if sound.problem is None
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
    ) -> Iterator[tuple[str, Sound]]:
        for first in range(0, len(states), _AT_ONCE):
            some = states[first : first + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            for row in table.execute(f"SELECT * FROM sounds WHERE state IN ({marks})", some):
                yield row[0], Sound(*row[1:])
