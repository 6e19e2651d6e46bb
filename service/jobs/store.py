"""The store of jobs: what was accepted, how far it is, and what came of it, in a database.

It is the truth about jobs: one is accepted once it is here, and has ended once its result is. Where
several replicas share it, each job that runs has a holder, which shows again and again that it
lives; else the job waits again. The methods wait for the database, so the event loop calls them in
a thread; only one at a time.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any

from service.jobs.database import Database
from service.jobs.fair import FairQueue, Turn, Waiting
from service.jobs.records import (
    Elsewhere,
    Progress,
    Record,
    Standing,
    State,
    TooManyBytes,
    TooManyJobs,
)
from service.jobs.tables import FORMAT, TABLES

log = logging.getLogger(__name__)

_DAY_S = 86_400
_COLUMNS = (
    "id, key, digest, name, bytes, fields, options, state, starts, created, started, ended, "
    "seconds, heard, error, callback, calls"
)
_UNENDED = "state IN ('waiting', 'running')"


class Store:
    """The jobs in a database.

    Args:
        replica: names this process among those that used the database and use it.
        lease_s: seconds without a sign of life after which its jobs are taken over.

    Raises:
        BadOption: it is of another version.
    """

    def __init__(self, database: Database, replica: str = "one", lease_s: float = 0.0) -> None:
        self._database = database
        self._execute = database.execute
        self._replica = replica
        self._lease_s = lease_s
        with database.alone():
            found = database.format()
            if found not in (0, FORMAT):
                whose = "another program" if found < 0 else "another version of earshot"
                raise database.refusal(f"are of {whose}")
            if found == 0:
                for statement in TABLES.format(serial=database.serial).split(";\n"):
                    if statement.strip():
                        self._execute(statement)
                database.set_format(FORMAT)
            if not database.is_shared:  # what ran ended with the service before
                self._wait_again("state = 'running'")

    @property
    def is_shared(self) -> bool:
        """Whether other replicas have the same jobs."""
        return self._database.is_shared

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def add(self, job: Record, most: int, most_bytes: int) -> Record:
        """Accept a job, and return it; or the one that this one repeats.

        Args:
            most: jobs that a key may have waiting or running; 0 for no limit.
            most_bytes: that the recordings of all jobs may take.

        Raises:
            TooManyJobs: the key has as many.
            TooManyBytes: there is no room for its recording.
        """
        with self._database.alone():
            found = self._select(
                "id = ? OR (key = ? AND repeats = ?)", job.id, job.key, job.repeats
            )
            if found:
                return found[0]
            if most and self.unfinished(job.key) >= most:
                raise TooManyJobs
            if self._bytes() + job.bytes > most_bytes:
                raise TooManyBytes
            self._execute(
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
        rows = self._execute(f"SELECT count(*) FROM jobs WHERE {_UNENDED} AND key = ?", (key,))
        return int(rows.fetchone()[0])

    def get(self, id: str) -> Record | None:
        """The job of that id."""
        return next(iter(self._select("id = ?", id)), None)

    def result(self, id: str) -> str | None:
        """What `finish` was given for a job that is done; None if it was forgotten meanwhile."""
        row = self._execute("SELECT result FROM jobs WHERE id = ?", (id,)).fetchone()
        return None if row is None else str(row[0])

    def unended(self) -> set[str]:
        """The ids of the jobs that wait or run."""
        return {row[0] for row in self._execute(f"SELECT id FROM jobs WHERE {_UNENDED}").fetchall()}

    def standing(self) -> Standing:
        """The jobs that have not ended; those whose holder gives no sign of life wait again."""
        with self._database.alone():
            if self.is_shared:
                now = self._database.now()
                for id in self._wait_again("state = 'running' AND lease < ?", now):
                    log.warning("job %s waits again: its replica gives no sign of life", id)
            return self._standing()

    def take(self, now: float, most_seconds: float) -> tuple[Record, Standing] | None:
        """Hold the job that is next, and run it; None if none waits, or it is longer.

        Returns:
            The job, and the others.
        """
        with self._database.alone():
            standing = self._standing()
            first = standing.queue.first()
            if first is None or first.seconds > most_seconds:
                return None
            standing.queue.take()
            self._keep_turns(standing.queue.turns)
            self._execute(
                "UPDATE jobs SET state = 'running', starts = starts + 1, started = ?, heard = 0, "
                "holder = ?, lease = ? WHERE id = ?",
                (now, self._replica, self._database.now() + self._lease_s, first.id),
            )
            return self._select("id = ?", first.id)[0], standing

    def note(self, jobs: Sequence[Progress]) -> list[str]:
        """How far the jobs are that this replica runs, as a sign of life.

        Returns:
            The ids of those that it holds no more, since they were taken over or forgotten.
        """
        with self._database.alone():
            lease = self._database.now() + self._lease_s
            return [job.id for job in jobs if not self._note(job, lease)]

    def _note(self, job: Progress, lease: float) -> bool:
        noted = self._execute(
            "UPDATE jobs SET lease = ?, seconds = ?, heard = ? "
            "WHERE id = ? AND holder = ? AND state = 'running'",
            (lease, job.seconds, job.heard, job.id, self._replica),
        )
        if noted.rowcount == 0:
            return False
        for number, segment in enumerate(job.segments, start=job.first):
            self._execute(
                "INSERT INTO segments (job, number, segment) VALUES (?, ?, ?) "
                "ON CONFLICT (job, number) DO UPDATE SET segment = excluded.segment",
                (job.id, number, segment),
            )
        return True

    def segments(self, id: str, after: int) -> list[str]:
        """What was noted of the segments of a job that runs, after the one of that number."""
        rows = self._execute(
            "SELECT segment FROM segments WHERE job = ? AND number > ? ORDER BY number", (id, after)
        )
        return [row[0] for row in rows.fetchall()]

    def put_back(self) -> None:
        """The jobs that this replica holds wait again, and their last starts do not count."""
        with self._database.alone():
            self._execute(
                "UPDATE jobs SET starts = starts - 1 WHERE state = 'running' AND holder = ?",
                (self._replica,),
            )
            self._wait_again("state = 'running' AND holder = ?", self._replica)

    def finish(
        self,
        id: str,
        now: float,
        seconds: float | None = None,
        result: str | None = None,
        error: dict[str, Any] | None = None,
        *,
        whoever_holds_it: bool = False,
    ) -> bool:
        """End a job with a result, whose seconds its key has used, or with an error.

        Returns:
            Whether it had not ended before, and nobody else holds it.
        """
        state: State = "done" if error is None else "failed"
        shown = None if error is None else json.dumps(error)
        with self._database.alone():
            job = self.get(id)
            done = self._execute(
                "UPDATE jobs SET state = ?, ended = ?, seconds = coalesce(?, seconds), result = ?, "
                "error = ?, call_at = CASE WHEN callback IS NULL THEN NULL ELSE ? END, "
                f"holder = NULL WHERE id = ? AND {_UNENDED} AND (holder = ? OR ?)",
                (
                    state, now, seconds, result, shown, self._database.now(),
                    id, self._replica, whoever_holds_it,
                ),
            )  # fmt: skip
            if job is None or done.rowcount == 0:
                return False
            self._execute("DELETE FROM segments WHERE job = ?", (id,))
            if seconds is not None:
                self._use(job.key, int(now // _DAY_S), seconds)
        return True

    def take_calls(self, most: int, claim_s: float) -> list[Record]:
        """The jobs whose addresses are to be called by now; nobody else calls them for so long."""
        with self._database.alone():
            now = self._database.now()
            due = self._select("call_at <= ?", now)[:most]
            for job in due:
                self._execute("UPDATE jobs SET call_at = ? WHERE id = ?", (now + claim_s, job.id))
            return due

    def called(self, id: str, again_s: float | None) -> None:
        """The address of a job was called; in how many seconds it is called again, if it is."""
        again = None if again_s is None else self._database.now() + again_s
        self._execute("UPDATE jobs SET calls = calls + 1, call_at = ? WHERE id = ?", (again, id))

    def forget(self, id: str) -> bool:
        """Remove a job; whether it had not ended."""
        with self._database.alone():
            job = self.get(id)
            self._execute("DELETE FROM jobs WHERE id = ?", (id,))
            self._execute("DELETE FROM segments WHERE job = ?", (id,))
        return job is not None and not job.has_ended

    def older(self, than: float) -> list[Record]:
        """Jobs that ended before a time, and those that were accepted before it and have not."""
        return self._select("coalesce(ended, created) < ?", than)

    def usage(self, day: int) -> list[tuple[str, int, float]]:
        """Key, recordings and seconds of audio of a day, but for what this replica has kept."""
        rows = self._execute(
            "SELECT key, CAST(sum(recordings) AS BIGINT), sum(seconds) FROM usage "
            "WHERE day = ? AND replica <> ? GROUP BY key ORDER BY key",
            (day, self._replica),
        )
        return rows.fetchall()

    def keep_usage(self, day: int, used: Sequence[tuple[str, int, float]]) -> None:
        """Keep key, recordings and seconds of what this replica has had on a day."""
        with self._database.alone():
            self._execute("DELETE FROM usage WHERE day < ?", (day - 1,))
            for key, recordings, seconds in used:
                self._execute(
                    "INSERT INTO usage (key, day, replica, recordings, seconds) "
                    "VALUES (?, ?, ?, ?, ?) ON CONFLICT (key, day, replica) DO UPDATE "
                    "SET recordings = excluded.recordings, seconds = excluded.seconds",
                    (key, day, self._replica, recordings, seconds),
                )

    def _use(self, key: str, day: int, seconds: float) -> None:
        self._execute(
            "INSERT INTO usage (key, day, replica, recordings, seconds) VALUES (?, ?, '', 1, ?) "
            "ON CONFLICT (key, day, replica) DO UPDATE SET recordings = usage.recordings + 1, "
            "seconds = usage.seconds + excluded.seconds",
            (key, day, seconds),
        )

    def _bytes(self) -> int:
        rows = self._execute(f"SELECT coalesce(sum(bytes), 0) FROM jobs WHERE {_UNENDED}")
        return int(rows.fetchone()[0])

    def _standing(self) -> Standing:
        turns = self._execute("SELECT key, start, stop FROM turns").fetchall()
        queue = FairQueue({key: Turn(start, stop) for key, start, stop in turns})
        elsewhere = []
        for id, key, state, holder, seconds, heard in self._execute(
            f"SELECT id, key, state, holder, seconds, heard FROM jobs WHERE {_UNENDED} "
            "ORDER BY number"
        ).fetchall():
            if state == "waiting":
                queue.add(Waiting(id, key, seconds))
            elif holder != self._replica:
                elsewhere.append(Elsewhere(key, max(0.0, seconds - heard), holder))
        return Standing(queue, tuple(elsewhere), self._bytes())

    def _keep_turns(self, turns: dict[str, Turn]) -> None:
        self._execute("DELETE FROM turns")
        for key, turn in turns.items():
            self._execute("INSERT INTO turns VALUES (?, ?, ?)", (key, turn.start, turn.stop))

    def _wait_again(self, condition: str, *values: Any) -> list[str]:
        """The jobs that fulfil a condition wait; their ids."""
        rows = self._execute(f"SELECT id FROM jobs WHERE {condition}", values).fetchall()
        ids: list[str] = [row[0] for row in rows]
        for id in ids:
            self._execute("UPDATE jobs SET state = 'waiting', holder = NULL WHERE id = ?", (id,))
            self._execute("DELETE FROM segments WHERE job = ?", (id,))
        return ids

    def _select(self, condition: str, *values: Any) -> list[Record]:
        rows = self._execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE {condition} ORDER BY number", values
        ).fetchall()
        return [_record(row) for row in rows]


def _record(row: tuple[Any, ...]) -> Record:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    for name in ("fields", "options", "error"):
        if values[name] is not None:
            values[name] = json.loads(values[name])
    return Record(**values)
