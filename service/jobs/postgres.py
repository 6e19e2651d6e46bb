"""PostgreSQL, in which several replicas of the service have one store of jobs.

One connection, which is made anew when it breaks. Its time-outs end what a replica that stands
still, or a network that swallows everything, would hold.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from asr.errors import BadOption, in_brief
from service.jobs.database import ConnectionLost, DatabaseFailed, Rows

_CONNECTION = {
    "connect_timeout": 5,  # in seconds
    "tcp_user_timeout": 10_000,  # in milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "application_name": "earshot",
}
_SESSION = (
    # Whoever stands still in a transaction loses it before those that wait for it give up.
    "SET idle_in_transaction_session_timeout = '10s'",
    "SET statement_timeout = '30s'",
    "SET synchronous_commit = on",
)
_AGAIN_S = 2.0
"""Seconds after a connection that failed, in which no other is tried."""
_LOCK = 0x65617273


class Postgres:
    """The database of an address, as postgresql://user:password@host/name.

    Raises:
        BadOption: it is no such address, or nothing answers there.
    """

    is_shared = True
    serial = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"

    def __init__(self, url: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error as error:  # whose words may show the password
            raise _no_address() from error
        if "@" in str(given.get("host")):  # the rest of a password
            raise _no_address()
        self._parameters: dict[str, Any] = {**_CONNECTION, **given}
        self._place = f"{given.get('host') or 'the local host'}/{given.get('dbname', '')}"
        self._connection: psycopg.Connection | None = None
        self._not_before = 0.0
        try:
            self._connected()
        except DatabaseFailed as error:
            raise BadOption(
                f"the database of jobs at {self._place} cannot be reached ({error}): start it, or "
                "correct EARSHOT_JOBS_URL."
            ) from error

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Rows:
        """Run one statement; DatabaseFailed if that fails."""
        # PostgreSQL's texts have no NUL.
        told = [one.replace("\0", "\ufffd") if isinstance(one, str) else one for one in values]
        with self._failures_told():
            return self._connected().execute(statement.replace("?", "%s").encode(), told)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A transaction, which waits for those of all replicas; DatabaseFailed if it fails."""
        with self._failures_told(), self._connected().transaction():
            self.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
            yield

    def now(self) -> float:
        """Seconds since 1970, by the clock of PostgreSQL."""
        row = self.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        return float(row[0])

    def format(self) -> int:
        """What `set_format` was given; 0 if there are no tables, -1 if there are others'."""
        found = self.execute("SELECT to_regclass('format'), to_regclass('jobs')").fetchone()
        if found[0] is not None:
            return int(self.execute("SELECT max(number) FROM format").fetchone()[0])
        return 0 if found[1] is None else -1

    def set_format(self, number: int) -> None:
        """Note the format of the tables."""
        self.execute("CREATE TABLE IF NOT EXISTS format (number INTEGER PRIMARY KEY)")
        self.execute("INSERT INTO format VALUES (?) ON CONFLICT DO NOTHING", (number,))

    def refusal(self, reason: str) -> BadOption:
        """The error of a database that cannot be used for a reason."""
        return BadOption(
            f"the jobs in {self._place} {reason}; name another database with EARSHOT_JOBS_URL."
        )

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()

    def _connected(self) -> psycopg.Connection:
        """The connection, a new one if need be."""
        if self._connection is None or self._connection.closed:
            if time.monotonic() < self._not_before:
                raise DatabaseFailed("it could not be reached a moment ago")
            self._not_before = time.monotonic() + _AGAIN_S
            try:
                self._connection = psycopg.connect(
                    autocommit=True, prepare_threshold=None, **self._parameters
                )
                for statement in _SESSION:
                    self._connection.execute(statement.encode())
            except psycopg.Error as error:
                raise DatabaseFailed(in_brief(error)) from error
            self._not_before = 0.0
        return self._connection

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            lost = self._connection is not None and self._connection.closed
            # Its details would quote the values of a row.
            said = error.diag.message_primary or in_brief(error)
            raise (ConnectionLost if lost else DatabaseFailed)(said) from error


def _no_address() -> BadOption:
    return BadOption(
        "EARSHOT_JOBS_URL is no address of PostgreSQL, as postgresql://user:password@host/name: "
        "write signs in its password as %40 for @, %2F for / and so on."
    )
