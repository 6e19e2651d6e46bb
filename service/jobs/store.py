"""The store of jobs: what was accepted, how far it is, and what came of it, in a SQLite database.

It is the truth about jobs: one is accepted once it is here, and has ended once its result is. Its
methods wait for the disk, so the event loop calls them in a thread; only one at a time.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from asr.errors import BadOption

State: TypeAlias = Literal["waiting", "running", "done", "failed"]

_FORMAT = 1
_BUSY_S = 5.0
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,      -- name of the API key that posted it; empty without keys
    repeats TEXT,           -- the client's Idempotency-Key
    digest TEXT NOT NULL,   -- of the recording and the fields
    name TEXT NOT NULL,     -- of the recording
    bytes INTEGER NOT NULL, -- of the recording
    fields TEXT NOT NULL,   -- of the form, in JSON
    options TEXT NOT NULL,  -- of the decoder, in JSON
    state TEXT NOT NULL,    -- waiting, running, done or failed
    starts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL, started REAL, ended REAL,
    seconds REAL NOT NULL,  -- of audio: an estimate until it is decoded
    result TEXT,            -- transcripts, in JSON
    error TEXT,             -- status, and error in OpenAI's shape, in JSON
    callback TEXT,          -- address that is called at the end
    calls INTEGER NOT NULL DEFAULT 0,
    call_at REAL,           -- when it is called next
    UNIQUE (key, repeats)
);
CREATE TABLE IF NOT EXISTS usage (
    key TEXT PRIMARY KEY,
    day INTEGER NOT NULL,   -- since 1970
    recordings INTEGER NOT NULL,
    seconds REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, number);
CREATE INDEX IF NOT EXISTS by_call ON jobs (call_at) WHERE call_at IS NOT NULL;
"""
_COLUMNS = (
    "id, key, digest, name, bytes, fields, options, state, starts, created, started, ended, "
    "seconds, error, callback, calls"
)


@dataclass(frozen=True)
class Record:
    """What the store knows of a job, but for its result."""

    id: str
    key: str
    digest: str
    name: str
    bytes: int
    fields: dict[str, Any]
    options: dict[str, Any]
    created: float
    seconds: float
    state: State = "waiting"
    starts: int = 0
    started: float | None = None
    ended: float | None = None
    error: dict[str, Any] | None = None
    callback: str | None = None
    calls: int = 0
    repeats: str | None = field(default=None, compare=False)

    @property
    def has_ended(self) -> bool:
        """Whether it is done or failed."""
        return self.state in ("done", "failed")


class TooManyJobs(Exception):
    """The key has as many jobs as it may have."""


class Store:
    """One database, which no other process may use at the same time.

    Raises:
        BadOption: it cannot be opened, is in use, damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._database = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            # Locks of the system end with their process, however that ended.
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            with self._transaction():
                self._create(path)
        except sqlite3.Error as error:
            in_use = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            reason = "another service uses it" if in_use else f"it cannot be read: {error}"
            raise BadOption(
                f"the jobs in {path} cannot be opened, as {reason}; stop that service, or name "
                "another folder with EARSHOT_JOBS_FOLDER."
            ) from error

    def _create(self, path: Path) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version not in (0, _FORMAT):
            raise BadOption(
                f"the jobs in {path} are of another version of earshot; name another folder with "
                "EARSHOT_JOBS_FOLDER."
            )
        for statement in _TABLES.split(";\n"):
            self._database.execute(statement)
        self._database.execute(f"PRAGMA user_version = {_FORMAT}")

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def add(self, job: Record, most: int) -> Record:
        """Accept a job, and return it; or the one that this one repeats.

        Args:
            most: jobs that a key may have waiting or running; 0 for no limit.

        Raises:
            TooManyJobs: the key has as many.
        """
        with self._transaction():
            if job.repeats is not None:
                found = self._select("key = ? AND repeats = ?", job.key, job.repeats)
                if found:
                    return found[0]
            if most and self.unfinished(job.key) >= most:
                raise TooManyJobs
            self._database.execute(
                "INSERT INTO jobs (id, key, repeats, digest, name, bytes, fields, options, state, "
                "created, seconds, callback) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job.id, job.key, job.repeats, job.digest, job.name, job.bytes,
                    json.dumps(job.fields), json.dumps(job.options), job.state, job.created,
                    job.seconds, job.callback,
                ),
            )  # fmt: skip
        return job

    def unfinished(self, key: str) -> int:
        """Jobs of a key that wait or run."""
        (count,) = self._database.execute(
            "SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running') AND key = ?", (key,)
        ).fetchone()
        return int(count)

    def get(self, id: str) -> Record | None:
        """The job of that id."""
        return next(iter(self._select("id = ?", id)), None)

    def result(self, id: str) -> str:
        """What `finish` was given for a job that is done."""
        (result,) = self._database.execute("SELECT result FROM jobs WHERE id = ?", (id,)).fetchone()
        return str(result)

    def unended(self) -> list[Record]:
        """The jobs that wait, the oldest first; those that ran wait again."""
        with self._transaction():
            self._database.execute("UPDATE jobs SET state = 'waiting' WHERE state = 'running'")
            return self._select("state = 'waiting'")

    def begin(self, id: str, now: float) -> None:
        """A job is being worked on."""
        self._database.execute(
            "UPDATE jobs SET state = 'running', starts = starts + 1, started = ? "
            "WHERE id = ? AND state = 'waiting'",
            (now, id),
        )

    def put_back(self, id: str) -> None:
        """A job waits again, and its start does not count."""
        self._database.execute(
            "UPDATE jobs SET state = 'waiting', starts = starts - 1 "
            "WHERE id = ? AND state = 'running'",
            (id,),
        )

    def finish(
        self,
        id: str,
        now: float,
        seconds: float | None = None,
        result: str | None = None,
        error: dict[str, Any] | None = None,
    ) -> bool:
        """End a job with a result or an error; whether it had not ended before."""
        state: State = "done" if error is None else "failed"
        shown = None if error is None else json.dumps(error)
        done = self._database.execute(
            "UPDATE jobs SET state = ?, ended = ?, seconds = coalesce(?, seconds), result = ?, "
            "error = ?, call_at = iif(callback IS NULL, NULL, ?) "
            "WHERE id = ? AND state IN ('waiting', 'running')",
            (state, now, seconds, result, shown, now, id),
        )
        return done.rowcount == 1

    def to_call(self, now: float, most: int) -> list[Record]:
        """The jobs whose addresses are to be called by now, so many at most."""
        return self._select("call_at <= ?", now)[:most]

    def called(self, id: str, next: float | None) -> None:
        """The address of a job was called; when it is to be called next, if it is."""
        self._database.execute(
            "UPDATE jobs SET calls = calls + 1, call_at = ? WHERE id = ?", (next, id)
        )

    def forget(self, id: str) -> None:
        """Remove a job."""
        self._database.execute("DELETE FROM jobs WHERE id = ?", (id,))

    def older(self, than: float) -> list[Record]:
        """Jobs that ended before a time, and those that were accepted before it and have not."""
        return self._select("coalesce(ended, created) < ?", than)

    def usage(self) -> list[tuple[str, int, int, float]]:
        """What `keep_usage` was given."""
        return self._database.execute("SELECT key, day, recordings, seconds FROM usage").fetchall()

    def keep_usage(self, used: Sequence[tuple[str, int, int, float]]) -> None:
        """Keep key, day, recordings and seconds of audio of each, and nothing else."""
        with self._transaction():
            self._database.execute("DELETE FROM usage")
            self._database.executemany("INSERT INTO usage VALUES (?, ?, ?, ?)", used)

    def _select(self, condition: str, *values: Any) -> list[Record]:
        rows: Sequence[tuple[Any, ...]] = self._database.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE {condition} ORDER BY number", values
        ).fetchall()
        return [_record(row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with closing(self._database.cursor()) as cursor:
            cursor.execute("BEGIN EXCLUSIVE")
            try:
                yield
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")


def _record(row: tuple[Any, ...]) -> Record:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    for name in ("fields", "options", "error"):
        if values[name] is not None:
            values[name] = json.loads(values[name])
    return Record(**values)
