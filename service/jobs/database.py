"""What the store of jobs lies in: SQLite for one service, PostgreSQL for replicas that share it.

Both take the same SQL, with `?` for values; what they differ in stands here and in `postgres.py`.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from asr.errors import BadOption

_BUSY_S = 5.0


class DatabaseFailed(Exception):
    """The database cannot be reached, or fails on what it was asked."""


class ConnectionLost(DatabaseFailed):
    """The connection broke: on a new one the same may succeed."""


class Rows(Protocol):
    """What a statement gives."""

    @property
    def rowcount(self) -> int:
        """Rows that it changed."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows."""
        ...


class Database(Protocol):
    """A database that one thread asks.

    Attributes:
        is_shared: whether other services use it at the same time.
        serial: type of a column that counts rows.
        failures: exceptions of its methods.
    """

    is_shared: bool
    serial: str

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Rows:
        """Run one statement."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """A transaction, beside which no other one of the store runs."""
        ...

    def now(self) -> float:
        """Seconds since 1970, by the clock that all who use the database share."""
        ...

    def format(self) -> int:
        """What `set_format` was given; 0 if the database is new, -1 if it is another program's."""
        ...

    def set_format(self, number: int) -> None:
        """Note the format of the tables."""
        ...

    def refusal(self, reason: str) -> BadOption:
        """The error of a store that cannot be used for a reason."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Sqlite:
    """A file, which no other process may use at the same time.

    Raises:
        BadOption: it cannot be opened, is in use or damaged.
    """

    is_shared = False
    serial = "INTEGER PRIMARY KEY AUTOINCREMENT"

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._database = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            # Locks of the system end with their process, however that ended.
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            with self.alone():  # takes the lock
                pass
        except sqlite3.Error as error:
            in_use = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            reason = "another service uses it" if in_use else f"it cannot be read: {error}"
            raise BadOption(
                f"the jobs in {path} cannot be opened, as {reason}; stop that service, or name "
                "another folder with EARSHOT_JOBS_FOLDER."
            ) from error

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Rows:
        """Run one statement; sqlite3.Error if that fails."""
        return self._database.execute(statement, values)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A transaction; sqlite3.Error if it fails."""
        with closing(self._database.cursor()) as cursor:
            cursor.execute("BEGIN EXCLUSIVE")
            try:
                yield
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def format(self) -> int:
        """What `set_format` was given; 0 if the file is new."""
        return int(self.execute("PRAGMA user_version").fetchone()[0])

    def set_format(self, number: int) -> None:
        """Note the format of the tables."""
        self.execute(f"PRAGMA user_version = {number}")

    def refusal(self, reason: str) -> BadOption:
        """The error of a file that cannot be used for a reason."""
        return BadOption(
            f"the jobs in {self._path} {reason}; name another folder with EARSHOT_JOBS_FOLDER."
        )

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
