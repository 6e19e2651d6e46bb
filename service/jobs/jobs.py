"""The jobs of a service: accepted, worked on behind all requests, kept until they are forgotten.

Replicas may share them: each accepts, works and answers, and the store says what is true.

The event loop only passes work on: the disk has a thread of its own, recordings are decoded and
transcribed in other processes.
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from weakref import WeakValueDictionary

from fastapi.concurrency import run_in_threadpool

from asr.counting import counted
from asr.transcript import Segment
from service.access.usage import Usage
from service.engine.registry import ModelRegistry
from service.errors import ApiError
from service.jobs.calls import Calls
from service.jobs.disk import DATABASE_FAILED, Disk, guarded, spool_full
from service.jobs.records import Record, State, TooManyBytes, TooManyJobs
from service.jobs.results import Outcome, seen, unpacked
from service.jobs.spool import Spool, Upload
from service.jobs.webhooks import Callbacks
from service.jobs.work import Work
from service.monitoring.metrics import Metrics
from service.settings import Settings

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_SYNC_EVERY_S = 5.0
_EXPIRE_EVERY_S = 600.0
_DAY_S = 86_400.0


@dataclass(frozen=True)
class JobState:
    """A job, and how far it is."""

    record: Record
    state: State
    seconds: float
    """Of audio: an estimate until it is decoded."""
    heard: float
    """Seconds of it that are done."""
    place: int | None
    """Its place in the queue, from 1, while it waits."""
    left_s: float | None
    """Seconds that it will probably take until it has ended."""


class Jobs:
    """All jobs, from `open` until `close`; a service without a folder for them has none."""

    def __init__(
        self, settings: Settings, registry: ModelRegistry, metrics: Metrics, usage: Usage
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._usage = usage
        self._usage_kept: list[tuple[str, int, float]] = []
        # Only while somebody waits for them: a job may be followed after its last change.
        self._changes: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._tasks: list[asyncio.Task[None]] = []
        self._disk = Disk(settings)
        self._work = Work(settings, self._disk, registry, metrics, usage, self._changed)
        secret = settings.callback_secret.get_secret_value()
        self._callbacks = Callbacks.of(settings.callback_hosts, secret)
        self._calls = Calls(self._disk, self._callbacks, metrics)
        self.paused = asyncio.Event()
        """Set once the service is being stopped: what has not ended is for the next start."""
        metrics.spool.set_function(lambda: self._disk.held)

    async def open(self) -> None:
        """Open the store, and queue what has not ended.

        Raises:
            BadOption: the folder or its store cannot be used.
        """
        await self._disk.open()
        if self._disk.is_open:
            await self._work.look()
            await self._sync_usage()
            if self._work.waiting:
                log.info("waiting from before: %s", counted(self._work.waiting, "job"))

    def begin(self) -> None:
        """Begin to work, once the models are warm."""
        if self._disk.is_open:
            works = (
                self._work.run(), self._calls.run(), self._expire(), self._sync_usage_often(),
                self._watch_others(),
            )  # fmt: skip
            self._tasks = [asyncio.create_task(work) for work in works]

    async def pause(self) -> None:
        """Stop to work; what has not ended waits for the next start."""
        self.paused.set()
        for task in self._tasks:
            task.cancel()
        await self._work.pause()

    async def close(self) -> None:
        """Pause, and let go of the store."""
        await self.pause()
        self._work.stop()
        if self._disk.is_open:
            await self._sync_usage()
        await self._disk.close()

    @property
    def spool(self) -> Spool:
        """The recordings; ApiError if there are no jobs (403), or none yet (503)."""
        return self._disk.spool

    def check_callback(self, url: str) -> None:
        """ApiError (422) if an address is never called."""
        if (refusal := self._callbacks.refusal(url)) is not None:
            raise ApiError(
                422,
                f"The address {url[:100]!r} {refusal}.",
                param="callback_url",
                code="invalid_value",
            )

    async def accept(self, upload: Upload, job: Record) -> tuple[Record, bool]:
        """Accept a job, whose recording has arrived; or return the one that it repeats.

        Returns:
            The job, and whether it is new.

        Raises:
            ApiError: the key has too many jobs, or the same Idempotency-Key came with another
                recording or other fields.
        """
        return await asyncio.shield(self._accept(upload, job))  # all of it, or nothing

    async def _accept(self, upload: Upload, job: Record) -> tuple[Record, bool]:
        if self._disk.is_shared:  # others may have had the rest of the key's audio just now
            await self._work.look()
            await self._sync_usage()
        self._usage.check(job.key, self.unfinished(job.key)[1])
        most = self._settings.key_jobs_at_once if job.key else 0
        upload.is_accepted = True  # who closes it meanwhile does not remove it
        stays = False
        try:
            await guarded(run_in_threadpool(upload.save))
            add = self._disk.store.add
            found = await self._disk.ask(add, job, most, self._settings.jobs_max_bytes)
            stays = found.id == job.id
        except TooManyJobs as error:
            raise _too_many_jobs(most) from error
        except TooManyBytes as error:
            raise spool_full() from error
        except ApiError as error:
            if error.detail.code == DATABASE_FAILED:  # which may have it all the same
                stays = True
                upload.settle()
            raise
        finally:
            if not stays:
                upload.is_accepted = False
                await run_in_threadpool(upload.close)
        if not stays:
            if found.digest != job.digest:
                raise _other_content()
            return found, False
        upload.settle()
        self._work.add(job)
        return found, True

    def unfinished(self, key: str) -> tuple[int, float]:
        """Jobs of a key that wait or run, and the seconds of audio that they still need."""
        return self._work.unfinished(key)

    async def find(self, id: str, key: str) -> Record:
        """A job of a key, or ApiError (404)."""
        record = await self._disk.ask(self._disk.store.get, id)
        if record is None or record.key != key:
            raise _unknown(id)
        return record

    def state(self, record: Record) -> JobState:
        """How far a job is."""
        if record.has_ended:
            heard = record.seconds if record.state == "done" else 0.0
            return JobState(record, record.state, record.seconds, heard, None, None)
        first = self._registry.first
        if (one := self._work.running(record.id)) is not None:
            left_s = first.backlog_s + self._work.left / first.throughput
            return JobState(record, "running", one.seconds, one.heard, None, left_s)
        if record.state == "running":  # elsewhere
            left_s = (record.seconds - record.heard) / first.throughput
            return JobState(record, "running", record.seconds, record.heard, None, max(0.0, left_s))
        place = self._work.place(record.id)
        audio = place.seconds_before + record.seconds + self._work.left + self._work.left_elsewhere
        left_s = first.backlog_s + audio / first.throughput / self._work.replicas
        return JobState(record, "waiting", record.seconds, 0.0, place.number, left_s)

    def change(self, id: str) -> asyncio.Event:
        """Set at the next change of a job; ask for it before looking at the job."""
        return self._changes.setdefault(id, asyncio.Event())

    async def outcome(self, record: Record) -> Outcome:
        """The result of a job that is done; ApiError (404) if it was forgotten meanwhile."""
        result = await self._disk.ask(self._disk.store.result, record.id)
        if result is None:
            raise _unknown(record.id)
        return await run_in_threadpool(unpacked, result)

    async def segments(self, record: Record, after: int = 0) -> list[Segment]:
        """The segments of a job that are known, after the one of that number."""
        if record.state == "done":
            return list((await self.outcome(record)).segments[after:])
        if (running := self._work.running(record.id)) is not None:
            return running.segments[after:]
        if record.has_ended or not self._disk.is_shared:
            return []
        noted = await self._disk.ask(self._disk.store.segments, record.id, after)
        return [seen(segment) for segment in noted]

    async def delete(self, record: Record) -> None:
        """Cancel a job, whoever works on it, and forget it."""
        had_not_ended = await self._disk.ask(self._disk.store.forget, record.id)
        await self._work.cancel(record.id)
        size = record.bytes if had_not_ended else 0
        await run_in_threadpool(self._disk.spool.empty, record.id, size)
        self._changed(record.id)

    def _changed(self, id: str) -> None:
        if (event := self._changes.pop(id, None)) is not None:
            event.set()

    async def _watch_others(self) -> None:
        """Have those who follow jobs of other replicas look again, as nobody says what is new."""
        while self._disk.is_shared:
            for id in list(self._changes):
                if self._work.running(id) is None:
                    self._changed(id)
            await asyncio.sleep(_LOOK_S)

    async def _sync_usage(self) -> None:
        """Keep what keys have had here, and see what they have had elsewhere."""
        day, used = self._usage.day, self._usage.kept()
        with contextlib.suppress(ApiError):
            if used != self._usage_kept:
                await self._disk.ask(self._disk.store.keep_usage, day, used)
                self._usage_kept = used
            self._usage.set_elsewhere(day, await self._disk.ask(self._disk.store.usage, day))

    async def _sync_usage_often(self) -> None:
        while True:
            await self._sync_usage()
            await asyncio.sleep(_SYNC_EVERY_S)

    async def _expire(self) -> None:
        """Forget jobs that are too old; those that have not ended by then fail."""
        days = self._settings.jobs_max_days
        while True:
            with contextlib.suppress(ApiError):
                before = time.time() - days * _DAY_S
                for record in await self._disk.ask(self._disk.store.older, before):
                    if record.has_ended:
                        await self.delete(record)
                    else:
                        await self._work.give_up(record, _too_old(days))
                if self._disk.is_shared:
                    await self._disk.sweep()
            await asyncio.sleep(_EXPIRE_EVERY_S)


def _unknown(id: str) -> ApiError:
    return ApiError(
        404,
        f"The job {id[:100]!r} does not exist: it was never posted with this key, was deleted, or "
        "is older than EARSHOT_JOBS_MAX_DAYS.",
        code="job_not_found",
    )


def _too_many_jobs(most: int) -> ApiError:
    return ApiError(
        429,
        f"This key has {counted(most, 'unfinished job')}, its limit: try again in 30 seconds.",
        code="too_many_jobs",
        headers={"retry-after": "30"},
    )


def _other_content() -> ApiError:
    return ApiError(
        422,
        "This Idempotency-Key came before, with another recording or other fields: use a new one.",
        param="idempotency-key",
        code="other_content",
    )


def _too_old(days: float) -> ApiError:
    return ApiError(
        504,
        f"The job waited for {'a day' if days == 1 else f'{days:g} days'} and was given up: post "
        "it again when the load is lower.",
        code="expired",
    )
