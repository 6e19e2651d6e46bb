"""The jobs of a service: accepted, worked on behind all requests, kept until they are forgotten.

The event loop only passes work on: the database has a thread of its own, recordings are decoded and
transcribed in other processes.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from sqlite3 import Error as DatabaseError
from typing import Any, TypeVar

from fastapi.concurrency import run_in_threadpool

from asr.audio import Limits
from asr.transcript import Segment
from service.access.usage import Usage
from service.engine.decode_pool import PATIENT_DECODER, DecodePool, DecodeTimeouts
from service.engine.registry import ModelRegistry
from service.engine.transcriber import Background, Result
from service.errors import ApiError, recogniser_error
from service.jobs.fair import FairQueue, Place, Waiting
from service.jobs.results import Outcome, packed, unpacked
from service.jobs.spool import Spool, Upload
from service.jobs.store import Record, State, Store, TooManyJobs
from service.monitoring.metrics import Metrics
from service.settings import Settings

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_MOST_RUNNING = 16
_LENGTHS_HELD = 2
"""Jobs run at a time whose recordings have so many times the longest length together, at most."""
_MOST_STARTS = 20
_RETRY_S = 2.0
_KEEP_EVERY_S = 5.0
_EXPIRE_EVERY_S = 600.0
_DAY_S = 86_400.0


@dataclass(eq=False)
class _Running:
    """A job that is being worked on."""

    waiting: Waiting
    seconds: float
    heard: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None

    @property
    def left(self) -> float:
        """Seconds of audio that are still to be heard."""
        return max(0.0, self.seconds - self.heard)


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
        self._metrics = metrics
        self._usage = usage
        self._usage_kept: list[tuple[str, int, int, float]] = []
        self._thread = ThreadPoolExecutor(1, "jobs")
        self._store: Store | None = None
        self._spool: Spool | None = None
        self._queue = FairQueue()
        self._running: dict[str, _Running] = {}
        self._changes: dict[str, asyncio.Event] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.paused = asyncio.Event()
        """Set once the service is being stopped: what has not ended is for the next start."""
        self._decoders = DecodePool(
            1,
            Limits(settings.jobs_max_seconds),
            DecodeTimeouts(
                settings.decode_timeout_s, settings.decode_timeout_per_second, settings.hang_s
            ),
            lambda cause: metrics.restarts.labels("decoder", cause).inc(),
            PATIENT_DECODER,
        )
        metrics.jobs.labels("waiting").set_function(lambda: len(self._queue))
        metrics.jobs.labels("running").set_function(lambda: len(self._running))
        metrics.jobs_audio.set_function(lambda: self._queue.seconds + self._left)
        metrics.spool.set_function(lambda: 0 if self._spool is None else self._spool.held)

    @property
    def is_on(self) -> bool:
        """Whether the service takes jobs."""
        return self._settings.jobs_folder is not None

    async def open(self) -> None:
        """Open the store, and queue what has not ended.

        Raises:
            BadOption: the folder or its store cannot be used.
        """
        folder = self._settings.jobs_folder
        if folder is None:
            return
        self._spool = spool = await run_in_threadpool(
            Spool, folder / "spool", self._settings.jobs_max_bytes
        )
        loop = asyncio.get_running_loop()
        store = await loop.run_in_executor(self._thread, Store, folder / "jobs.sqlite")
        records = await loop.run_in_executor(self._thread, store.unended)
        await run_in_threadpool(spool.sweep, {record.id for record in records})
        self._usage.restore(await loop.run_in_executor(self._thread, store.usage))
        for record in records:
            self._queue.add(Waiting(record.id, record.key, record.seconds))
        self._store = store
        if records:
            log.info("%d jobs wait from before", len(records))

    async def begin(self) -> None:
        """Begin to work, once the models are warm."""
        if self._store is not None:
            await self._decoders.start()
            works = (self._work(), self._expire(), self._keep_usage_often())
            self._tasks = [asyncio.create_task(work) for work in works]
            self._wake.set()

    async def pause(self) -> None:
        """Stop to work; what has not ended waits for the next start."""
        self.paused.set()
        for task in self._tasks:
            task.cancel()
        running = list(self._running.values())
        for one in running:
            await self._cancel(one)
        for one in running:
            with contextlib.suppress(ApiError):
                await self._ask(self.store.put_back, one.waiting.id)
        if running:
            log.info("%d jobs go on at the next start", len(running))

    async def close(self) -> None:
        """Pause, and let go of the store."""
        await self.pause()
        self._decoders.stop()
        if self._store is not None:
            await self._keep_usage()
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
            self._store = None
        self._thread.shutdown()

    @property
    def store(self) -> Store:
        """The store; ApiError if there is none (403), or none yet (503)."""
        if self._store is None:
            raise _off() if not self.is_on else _not_yet()
        return self._store

    @property
    def spool(self) -> Spool:
        """The recordings; errors are those of `store`."""
        if self._spool is None:
            raise _off() if not self.is_on else _not_yet()
        return self._spool

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
        self._usage.check(job.key, self.unfinished(job.key)[1])
        upload.is_accepted = True  # who closes it meanwhile does not remove it
        most = self._settings.key_jobs_at_once if job.key else 0
        is_new = False
        try:
            await _on_disk(run_in_threadpool(upload.save))
            found = await self._ask(self.store.add, job, most)
            is_new = found.id == job.id
        except TooManyJobs as error:
            raise _too_many_jobs(most) from error
        finally:
            if not is_new:
                upload.is_accepted = False
                await run_in_threadpool(upload.close)
        if is_new:
            self._queue.add(Waiting(job.id, job.key, job.seconds))
            self._wake.set()
        elif found.digest != job.digest:
            raise _other_content()
        return found, is_new

    def unfinished(self, key: str) -> tuple[int, float]:
        """Jobs of a key that wait or run, and the seconds of audio that they still need."""
        waiting = self._queue.of(key)
        running = [one for one in self._running.values() if one.waiting.key == key]
        seconds = sum(job.seconds for job in waiting) + sum(one.left for one in running)
        return len(waiting) + len(running), seconds

    async def find(self, id: str, key: str) -> Record:
        """A job of a key, or ApiError (404)."""
        record = await self._ask(self.store.get, id)
        if record is None or record.key != key:
            raise ApiError(
                404,
                f"The job {id[:100]!r} does not exist: it was never posted with this key, was "
                "deleted, or is older than EARSHOT_JOBS_MAX_DAYS.",
                code="job_not_found",
            )
        return record

    def state(self, record: Record) -> JobState:
        """How far a job is."""
        if record.has_ended:
            heard = record.seconds if record.state == "done" else 0.0
            return JobState(record, record.state, record.seconds, heard, None, None)
        first = self._registry.first
        wait_s = first.backlog_s + self._left / first.real_time_factor
        if (one := self._running.get(record.id)) is not None:
            return JobState(record, "running", one.seconds, one.heard, None, wait_s)
        place = self._queue.place(record.id) or Place(1, 0.0)
        audio = place.seconds_before + record.seconds
        left_s = wait_s + audio / first.real_time_factor
        return JobState(record, "waiting", record.seconds, 0.0, place.number, left_s)

    def change(self, id: str) -> asyncio.Event:
        """Set at the next change of a job; ask for it before looking at the job."""
        return self._changes.setdefault(id, asyncio.Event())

    async def outcome(self, record: Record) -> Outcome:
        """The result of a job that is done."""
        return await run_in_threadpool(unpacked, await self._ask(self.store.result, record.id))

    async def segments(self, record: Record) -> list[Segment]:
        """The segments of a job that are known."""
        if record.state == "done":
            return list((await self.outcome(record)).segments)
        running = self._running.get(record.id)
        return [] if running is None else running.segments

    async def delete(self, record: Record) -> None:
        """Cancel a job, and forget it."""
        self._queue.remove(record.id)
        if (running := self._running.get(record.id)) is not None:
            await self._cancel(running)
        await self._ask(self.store.forget, record.id)
        await self._ask(self.spool.empty, record.id)
        self._changed(record.id)

    @property
    def _left(self) -> float:
        return sum(running.left for running in self._running.values())

    def _changed(self, id: str) -> None:
        if (event := self._changes.pop(id, None)) is not None:
            event.set()

    async def _ask(self, call: Callable[..., _T], *values: Any) -> _T:
        """What a call says that waits for the disk."""
        loop = asyncio.get_running_loop()
        return await _on_disk(loop.run_in_executor(self._thread, partial(call, *values)))

    async def _cancel(self, running: _Running) -> None:
        assert running.task is not None
        running.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running.task

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._has_room() and (waiting := self._queue.take()) is not None:
                running = _Running(waiting, waiting.seconds)
                self._running[waiting.id] = running
                running.task = asyncio.create_task(self._run(running))

    def _has_room(self) -> bool:
        first = self._queue.first()
        if first is None or not self._running:
            return first is not None
        seconds = first.seconds + sum(running.seconds for running in self._running.values())
        longest = _LENGTHS_HELD * self._settings.jobs_max_seconds
        return len(self._running) < _MOST_RUNNING and seconds <= longest

    async def _run(self, running: _Running) -> None:
        try:
            while not await self._tried(running):
                await asyncio.sleep(_RETRY_S)
        finally:
            del self._running[running.waiting.id]
            self._changed(running.waiting.id)
            self._wake.set()

    async def _tried(self, running: _Running) -> bool:
        """Work on a job; whether it has ended. Otherwise another try may succeed."""
        id = running.waiting.id
        running.heard = 0.0
        running.segments = []
        try:
            record = await self._ask(self.store.get, id)
            if record is None or record.has_ended:
                return True
            await self._ask(self.store.begin, id, time.time())
            result, error = await self._result(record, running)
            if error is not None and error.status == 503:
                await self._ask(self.store.put_back, id)
                return False
            await self._end(record, result, error)
        except ApiError:  # of the disk
            return False
        return True

    async def _result(
        self, record: Record, running: _Running
    ) -> tuple[Result | None, ApiError | None]:
        """The result of a job, or why there is none."""
        if record.starts >= _MOST_STARTS:
            return None, _deadly()
        fields = record.fields
        try:
            result = await self._registry.transcribe_behind(
                fields["model"],
                record.options,
                self.spool.recording(record.id),
                record.name,
                fields["channels"],
                fields["track"],
                self._background(running),
            )
        except ApiError as error:
            if error.status == 500:
                log.error("job %s failed: %s", record.id, error, exc_info=error)
            return None, error
        except Exception as error:
            told = recogniser_error(error)
            if told is None:
                log.exception("job %s failed", record.id)
                told = _fault(record.id)
            return None, told
        return result, None

    def _background(self, running: _Running) -> Background:
        def on_length(seconds: float) -> None:
            running.seconds = seconds

        def on_progress(seconds: float) -> None:
            running.heard = min(running.seconds, running.heard + seconds)
            self._changed(running.waiting.id)

        def on_segment(segment: Segment) -> None:
            running.segments.append(segment)
            self._changed(running.waiting.id)

        kept = self.spool.folder(running.waiting.id)
        return Background(self._decoders, kept, on_length, on_progress, on_segment)

    async def _end(self, record: Record, result: Result | None, error: ApiError | None) -> None:
        """End a job, once."""
        if result is not None:
            content = await run_in_threadpool(packed, result.transcripts, result.timings)
            ended = await self._ask(
                self.store.finish, record.id, time.time(), result.seconds, content
            )
            if ended:
                self._usage.add(record.key, result.seconds)
        else:
            assert error is not None
            told = {"status": error.status, "detail": error.detail.model_dump()}
            ended = await self._ask(self.store.finish, record.id, time.time(), None, None, told)
        await self._ask(self.spool.empty, record.id)
        if ended:
            outcome = "done" if error is None else "failed"
            self._metrics.jobs_ended.labels(outcome).inc()
            reason = "" if error is None else f" ({error.status} {error.detail.code})"
            log.info("job %s is %s%s", record.id, outcome, reason)
        self._changed(record.id)

    async def _keep_usage(self) -> None:
        used = self._usage.kept()
        if used != self._usage_kept:
            with contextlib.suppress(ApiError):
                await self._ask(self.store.keep_usage, used)
                self._usage_kept = used

    async def _keep_usage_often(self) -> None:
        while True:
            await self._keep_usage()
            await asyncio.sleep(_KEEP_EVERY_S)

    async def _expire(self) -> None:
        """Forget jobs that are too old; those that have not ended by then fail."""
        while True:
            with contextlib.suppress(ApiError):
                kept_s = self._settings.jobs_max_days * _DAY_S
                for record in await self._ask(self.store.older, time.time() - kept_s):
                    if record.has_ended:
                        await self.delete(record)
                    else:
                        await self._expired(record)
            await asyncio.sleep(_EXPIRE_EVERY_S)

    async def _expired(self, record: Record) -> None:
        self._queue.remove(record.id)
        if (running := self._running.get(record.id)) is not None:
            await self._cancel(running)
        await self._end(record, None, _too_old(self._settings.jobs_max_days))


async def _on_disk(work: Awaitable[_T]) -> _T:
    """What `work` gives; ApiError (503) if the disk fails it."""
    try:
        return await work
    except (DatabaseError, OSError) as error:
        raise disk_failed(error) from error


def disk_failed(error: Exception) -> ApiError:
    """What clients are told of an error of the disk, which is logged."""
    log.error("the disk of jobs fails: %s", error)
    return ApiError(
        503,
        "The disk of jobs is full or gone: try again in 30 seconds.",
        code="disk_failed",
        headers={"retry-after": "30"},
    )


def _off() -> ApiError:
    return ApiError(
        403,
        "This service takes no jobs: set EARSHOT_JOBS_FOLDER to a folder that outlives it.",
        code="jobs_off",
    )


def _not_yet() -> ApiError:
    return ApiError(
        503,
        "The jobs are still being opened: try again in a few seconds.",
        code="not_ready",
        headers={"retry-after": "2"},
    )


def _too_many_jobs(most: int) -> ApiError:
    return ApiError(
        429,
        f"This key has {most} jobs that have not ended, its limit: try again in 30 seconds.",
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
        f"The job waited for {days:g} days and was given up: post it again when the load is lower.",
        code="expired",
    )


def _deadly() -> ApiError:
    return ApiError(
        500,
        f"The service ended {_MOST_STARTS} times while it worked on this job, and gave it up: its "
        "log may say why.",
        code="internal_error",
    )


def _fault(id: str) -> ApiError:
    return ApiError(
        500,
        "The service failed on this job through no fault of yours; its log says more under the id "
        f"{id}.",
        code="internal_error",
    )
