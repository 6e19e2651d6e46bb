"""The journal of a folder job: what is done, of which file and how, in a SQLite database.

It is the truth about a job: an output is finished once the journal has said so on the disk.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.batch.inputs import Input, Place, place_of
from asr.batch.stores import Version
from asr.errors import AsrError, BadOption

_FORMAT = 1
_BUSY_S = 60.0
_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY,  -- absolute, in the file system's bytes; or an address
    stem BLOB NOT NULL,     -- of the output files, below the output folder
    state TEXT NOT NULL,    -- waiting, done or failed
    size INTEGER, changed INTEGER,  -- the version
    made TEXT,              -- digest of bundle and options
    formats TEXT,           -- what was written, with commas on both sides
    at REAL,                -- when
    line TEXT,              -- of results.jsonl, or of errors.jsonl
    full TEXT               -- of the file of --jsonl
);
CREATE INDEX IF NOT EXISTS by_state ON files (state, stem);
CREATE INDEX IF NOT EXISTS by_stem ON files (stem);
CREATE TABLE IF NOT EXISTS written (  -- what jobs wrote, or were about to; never forgotten
    stem BLOB, ending TEXT, PRIMARY KEY (stem, ending)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT);
"""

_HAS_WRITTEN = "SELECT 1 FROM {}.sqlite_master WHERE name = 'written'"


class OutputLost(AsrError):
    """The output can no longer be written: the disk is full, read-only or gone."""


@dataclass(frozen=True)
class Row:
    """What a journal knows of a recording that is done."""

    stem: bytes
    version: Version
    made: str
    formats: frozenset[str]


@dataclass(frozen=True)
class Counts:
    """How many recordings are in which state."""

    waiting: int
    done: int
    failed: int


class Journal:
    """Safe to use from several threads.

    Args:
        write: else it is only read, and must exist.

    Raises:
        BadOption: it is damaged, or of another version.
        OutputLost: the disk is full, read-only or gone; also raised by what writes.
    """

    def __init__(self, path: Path, write: bool = True) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._lost: OutputLost | None = None
        with self._guarded():
            # Also who only reads may have to take back what a killed job had begun to write.
            mode = "rwc" if write else "rw"
            self._base = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=_BUSY_S,
                check_same_thread=False,
            )
            found = self._base.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, _FORMAT):
                raise BadOption(f"{path} is another version's: choose another output folder.")
            if write:
                self._base.executescript(_TABLES)
                self._base.execute(f"PRAGMA user_version = {_FORMAT}")
                self._base.commit()

    def close(self) -> None:
        """What was not committed is forgotten."""
        self._base.close()

    def find(self, item: Input) -> Row | None:
        """What is known of a recording, if it is done."""
        query = "SELECT stem, size, changed, made, formats FROM files WHERE path = ? AND state = ?"
        with self._guarded():
            found = self._base.execute(query, (_key(item), "done")).fetchone()
        if found is None:
            return None
        stem, size, changed, made, formats = found
        return Row(stem, (size, changed), made, frozenset(formats.split(",")))

    def other(self, item: Input) -> Place | None:
        """Another recording whose transcript has the place of this one's."""
        query = "SELECT path FROM files WHERE stem = ? AND path != ? AND state = 'done'"
        with self._guarded():
            found = self._base.execute(query, (os.fsencode(item.stem), _key(item))).fetchone()
        return None if found is None else place_of(os.fsdecode(found[0]))

    def wrote(self, stem: str, ending: str) -> bool:
        """Whether a job may have written an output file; an older earshot noted no endings."""
        name = os.fsencode(stem)
        with self._guarded():
            noted: set[str] = set()
            if self._base.execute(_HAS_WRITTEN.format("main")).fetchone():
                query = "SELECT ending FROM written WHERE stem = ?"
                noted = {found for (found,) in self._base.execute(query, (name,))}
            if noted:
                return ending in noted
            query = "SELECT 1 FROM files WHERE stem = ?"
            return self._base.execute(query, (name,)).fetchone() is not None

    def begin(self, about: dict[str, str]) -> None:
        """Forgets what earlier jobs left undone, and notes how this one was called."""
        with self._guarded():
            self._base.execute("DELETE FROM files WHERE state != 'done'")
            self._base.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())

    def expect(self, inputs: Sequence[Input], endings: Collection[str]) -> None:
        """These recordings are to be done, in files with these endings."""
        rows = ((_key(item), os.fsencode(item.stem)) for item in inputs)
        query = "INSERT OR REPLACE INTO files (path, stem, state) VALUES (?, ?, 'waiting')"
        files = ((os.fsencode(item.stem), ending) for item in inputs for ending in endings)
        with self._guarded():
            self._base.executemany(query, rows)
            self._base.executemany("INSERT OR IGNORE INTO written VALUES (?, ?)", files)
            self._base.commit()

    def done(
        self, item: Input, version: Version, made: str, formats: str, line: str, full: str | None
    ) -> None:
        """A recording's files are written; kept once `commit` has been called.

        Args:
            formats: with commas between.
        """
        values = _key(item), os.fsencode(item.stem), *version, made, formats, time.time()
        with self._guarded():
            self._base.execute("DELETE FROM files WHERE stem = ? AND path != ?", values[1::-1])
            self._base.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, 'done', ?, ?, ?, ?, ?, ?, ?)",
                (*values, line, full),
            )

    def failed(self, item: Input, line: str) -> None:
        """A recording has no transcript; kept once `commit` has been called."""
        with self._guarded():
            self._base.execute(
                "INSERT OR REPLACE INTO files (path, stem, state, at, line) "
                "VALUES (?, ?, 'failed', ?, ?)",
                (_key(item), os.fsencode(item.stem), time.time(), line),
            )

    def commit(self) -> None:
        """Everything so far is kept, also if the power fails.

        Raises:
            OutputLost: also if a write before it failed: SQLite then forgets all since the last
                commit, and has nothing to complain of here.
        """
        if self._lost is not None:
            raise self._lost
        with self._guarded():
            self._base.commit()

    def absorb(self, other: Path) -> None:
        """Takes over what another journal has done, unless this one has done it later."""
        with self._guarded():
            self._base.commit()
            self._base.execute("ATTACH ? AS other", (str(other),))
            try:
                self._base.execute(
                    "INSERT OR REPLACE INTO files SELECT * FROM other.files AS theirs "
                    "WHERE state = 'done' AND at > coalesce((SELECT at FROM main.files AS ours "
                    "WHERE ours.path = theirs.path AND ours.state = 'done'), 0)"
                )
                if self._base.execute(_HAS_WRITTEN.format("other")).fetchone():
                    self._base.execute("INSERT OR IGNORE INTO written SELECT * FROM other.written")
                self._base.commit()
            finally:
                self._base.execute("DETACH other")

    def counts(self) -> Counts:
        """How many recordings are in which state."""
        with self._guarded():
            found = dict(self._base.execute("SELECT state, count(*) FROM files GROUP BY state"))
        return Counts(*(found.get(state, 0) for state in ("waiting", "done", "failed")))

    def about(self) -> dict[str, str]:
        """How the last job was called."""
        with self._guarded():
            return dict(self._base.execute("SELECT key, value FROM about"))

    def missing(self) -> Iterator[tuple[Place, str | None]]:
        """The recordings that are not done, with the line of those that failed, in order."""
        query = "SELECT path, line FROM files WHERE state != 'done' ORDER BY stem"
        for path, line in self._rows(query):
            yield place_of(os.fsdecode(path)), line

    def lines(self, state: str, column: str = "line") -> Iterator[str]:
        """The lines of recordings in a state, in the order of their output files."""
        query = f"SELECT {column} FROM files WHERE state = ? AND {column} NOT NULL ORDER BY stem"
        return (line for (line,) in self._rows(query, state))

    def _rows(self, query: str, *values: str) -> Iterator[tuple[Any, ...]]:
        with self._guarded(), closing(self._base.execute(query, values)) as found:
            yield from found

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """One thread at a time; SQLite's errors become sentences."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                name = getattr(error, "sqlite_errorname", "")
                if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")):
                    raise BadOption(
                        f"{self.path} is no journal of a job ({error}): delete it, and add "
                        "--overwrite to do all anew."
                    ) from error
                self._lost = OutputLost(f"{self.path} cannot be written ({error})")
                raise self._lost from error


def _key(item: Input) -> bytes:
    return os.fsencode(item.key)
