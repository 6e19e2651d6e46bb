"""The work on jobs: whose turn it is, what is being worked on, and what comes of it."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fastapi.concurrency import run_in_threadpool

from asr.audio import Limits
from asr.counting import counted
from asr.transcript import Segment
from service.access.usage import Usage
from service.engine.decode_pool import PATIENT_DECODER, DecodePool, DecodeTimeouts
from service.engine.registry import ModelRegistry
from service.engine.transcriber import Background, Result
from service.errors import ApiError, recogniser_error
from service.jobs.disk import Disk, guarded
from service.jobs.fair import FairQueue, Place, Waiting
from service.jobs.records import Elsewhere, Progress, Record, Standing
from service.jobs.results import packed, shown
from service.monitoring.metrics import Metrics
from service.settings import Settings

log = logging.getLogger(__name__)

_MOST_RUNNING = 16
_LENGTHS_HELD = 2
"""Jobs run at a time whose recordings have so many times the longest length together, at most."""
_MOST_STARTS = 20
_RETRY_S = 2.0
_LOOK_S = 1.0
"""Seconds from one look at what other replicas do, and one sign of life for them, to the next."""


@dataclass(eq=False)
class Running:
    """A job that is being worked on here."""

    waiting: Waiting
    seconds: float
    """Of audio: an estimate until it is decoded."""
    heard: float = 0.0
    """Seconds of it that are done."""
    segments: list[Segment] = field(default_factory=list)
    """Those that are known."""
    noted: int = 0
    """How many of them other replicas can see."""
    is_ending: bool = False
    """Whether its result is on the way to the store."""
    task: "asyncio.Task[None] | None" = None

    @property
    def left(self) -> float:
        """Seconds of audio that are still to be heard."""
        return max(0.0, self.seconds - self.heard)


class Work:
    """The queue, and the jobs that are being worked on.

    Args:
        on_change: called with the id of a job that got on or has ended.
    """

    def __init__(
        self,
        settings: Settings,
        disk: Disk,
        registry: ModelRegistry,
        metrics: Metrics,
        usage: Usage,
        on_change: Callable[[str], None],
    ) -> None:
        self._disk = disk
        self._registry = registry
        self._metrics = metrics
        self._usage = usage
        self._on_change = on_change
        self._longest_s = settings.jobs_max_seconds
        self._queue = FairQueue()
        self._elsewhere: tuple[Elsewhere, ...] = ()
        self._running: dict[str, Running] = {}
        self._wake = asyncio.Event()
        self._decoders = DecodePool(
            1,
            Limits(settings.jobs_max_seconds),
            DecodeTimeouts(
                settings.decode_timeout_s,
                settings.decode_timeout_per_second,
                settings.hang_s,
                by_work=True,  # others go first, for hours if need be
            ),
            lambda cause: metrics.restarts.labels("decoder", cause).inc(),
            PATIENT_DECODER,
        )
        metrics.jobs.labels("waiting").set_function(lambda: len(self._queue))
        metrics.jobs.labels("running").set_function(lambda: len(self._running))
        metrics.jobs_audio.labels("waiting").set_function(lambda: self._queue.seconds)
        metrics.jobs_audio.labels("running").set_function(lambda: self.left)

    def add(self, record: Record) -> None:
        """Queue a job."""
        self._queue.add(Waiting(record.id, record.key, record.seconds))
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._queue)

    def running(self, id: str) -> Running | None:
        """A job, if it is being worked on here."""
        return self._running.get(id)

    def place(self, id: str) -> Place:
        """Where a job waits: behind all others, if it came to another replica just now."""
        return self._queue.place(id) or Place(len(self._queue) + 1, self._queue.seconds)

    @property
    def left(self) -> float:
        """Seconds of audio that those being worked on here still need; other threads may ask."""
        return sum(running.left for running in tuple(self._running.values()))

    @property
    def left_elsewhere(self) -> float:
        """Seconds of audio that those being worked on by other replicas still need."""
        return sum(one.left for one in self._elsewhere)

    @property
    def replicas(self) -> int:
        """Replicas that work on jobs: this one, and others that are seen to."""
        return 1 + len({one.holder for one in self._elsewhere})

    def unfinished(self, key: str) -> tuple[int, float]:
        """Jobs of a key that wait or run, and the seconds of audio that they still need."""
        left = [job.seconds for job in self._queue.of(key)]
        left += [one.left for one in self._running.values() if one.waiting.key == key]
        left += [one.left for one in self._elsewhere if one.key == key]
        return len(left), sum(left)

    async def look(self) -> None:
        """See which jobs wait, and which other replicas run."""
        self._set(await self._disk.ask(self._disk.store.standing))

    async def run(self) -> None:
        """Work on jobs, until cancelled."""
        await self._decoders.start()
        while True:
            wait_s = _LOOK_S if self._disk.is_shared else None
            try:
                if self._disk.is_shared:
                    await self._give_signs()
                    await self.look()
                while await self._begin_next():
                    pass
            except ApiError:  # of the database
                wait_s = _RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            self._wake.clear()

    async def pause(self) -> None:
        """Cancel what is being worked on; it waits for the next start, or for other replicas."""
        ids = list(self._running)
        for id in ids:
            await self.cancel(id)
        if self._disk.is_open:
            with contextlib.suppress(ApiError):
                await self._disk.ask(self._disk.store.put_back)
        if ids:
            log.info("waiting again: %s", counted(len(ids), "job"))

    def stop(self) -> None:
        """End the process that decodes."""
        self._decoders.stop()

    async def cancel(self, id: str) -> None:
        """Stop to work on a job, and let it wait no more."""
        self._queue.remove(id)
        if (running := self._running.get(id)) is not None and running.task is not None:
            running.task.cancel()
            await asyncio.wait((running.task,))
            self._running.pop(id, None)  # if it was cancelled before it had begun

    async def give_up(self, record: Record, error: ApiError) -> None:
        """End a job with an error, whoever works on it."""
        await self._end(record, None, error, whoever_holds_it=True)
        await self.cancel(record.id)

    def _set(self, standing: Standing) -> None:
        self._queue, self._elsewhere = standing.queue, standing.elsewhere
        self._disk.spool.set_accepted(standing.bytes)

    async def _give_signs(self) -> None:
        """Show other replicas how far the jobs are that are being worked on here."""
        notes = {id: (one, one.segments, len(one.segments)) for id, one in self._running.items()}
        progress = [
            Progress(id, one.seconds, one.heard, one.noted + 1, shown(segments[one.noted : count]))
            for id, (one, segments, count) in notes.items()
        ]
        lost = await self._disk.ask(self._disk.store.note, progress) if progress else []
        for id, (one, segments, count) in notes.items():
            if id in lost and not one.is_ending and self._running.get(id) is one:
                log.warning("job %s was taken over or deleted, and is left", id)
                await self.cancel(id)
                await run_in_threadpool(self._disk.spool.leave, id)
            elif one.segments is segments:
                one.noted = count

    async def _begin_next(self) -> bool:
        """Begin to work on the job that is next; whether there was one, and room for it."""
        if not len(self._queue) or len(self._running) >= _MOST_RUNNING:
            return False
        most = math.inf
        if self._running:
            seconds = sum(running.seconds for running in self._running.values())
            most = _LENGTHS_HELD * self._longest_s - seconds
        taken = await self._disk.ask(self._disk.store.take, time.time(), most)
        if taken is None:
            return False
        record, standing = taken
        self._set(standing)
        running = Running(Waiting(record.id, record.key, record.seconds), record.seconds)
        self._running[record.id] = running
        running.task = asyncio.create_task(self._run(record, running))
        return True

    async def _run(self, record: Record, running: Running) -> None:
        try:
            while True:
                result, error = await self._result(record, running)
                if error is None or error.status != 503:
                    break
                await asyncio.sleep(_RETRY_S)
            running.is_ending = True
            while not await self._has_ended(record, result, error):
                await asyncio.sleep(_RETRY_S)
        finally:
            self._running.pop(record.id, None)
            self._on_change(record.id)
            self._wake.set()

    async def _has_ended(
        self, record: Record, result: Result | None, error: ApiError | None
    ) -> bool:
        """End a job; False if the database fails for now."""
        try:
            await self._end(record, result, error)
        except ApiError:
            return False
        return True

    async def _result(
        self, record: Record, running: Running
    ) -> tuple[Result | None, ApiError | None]:
        """The result of a job, or why there is none; with 503 another try may succeed."""
        running.heard, running.segments, running.noted = 0.0, [], 0
        if record.starts > _MOST_STARTS:
            return None, _deadly()
        fields, fetch = record.fields, self._disk.spool.fetch
        try:
            result = await self._registry.transcribe_behind(
                fields["model"],
                record.options,
                await guarded(run_in_threadpool(_found, fetch, record.id)),
                record.name,
                fields["channels"],
                fields["track"],
                self._background(running),
            )
        except ApiError as error:
            if error.status == 500:
                log.error("job %s failed", record.id, exc_info=error)
            return None, error
        except Exception as error:
            told = recogniser_error(error)
            if told is None:
                log.exception("job %s failed", record.id)
                told = _fault(record.id)
            return None, told
        return result, None

    def _background(self, running: Running) -> Background:
        def on_length(seconds: float) -> None:
            running.seconds = seconds

        def on_progress(seconds: float) -> None:
            running.heard = min(running.seconds, running.heard + seconds)
            self._on_change(running.waiting.id)

        def on_segment(segment: Segment) -> None:
            running.segments.append(segment)
            self._on_change(running.waiting.id)

        kept = self._disk.spool.folder(running.waiting.id)
        return Background(self._decoders, kept, on_length, on_progress, on_segment)

    async def _end(
        self,
        record: Record,
        result: Result | None,
        error: ApiError | None,
        whoever_holds_it: bool = False,
    ) -> None:
        """End a job, once."""
        finish = partial(self._disk.store.finish, record.id, time.time())
        if result is not None:
            content = await run_in_threadpool(packed, result.transcripts, result.timings)
            ended = await self._disk.ask(finish, result.seconds, content)
        else:
            assert error is not None
            told = {"status": error.status, "detail": error.detail.model_dump()}
            ended = await self._disk.ask(
                finish, None, None, told, whoever_holds_it=whoever_holds_it
            )
        if not ended:  # it was deleted, or taken over: its recording is not ours
            log.info("job %s ended elsewhere", record.id)
            await run_in_threadpool(self._disk.spool.leave, record.id)
            return
        if result is not None:
            self._usage.add_elsewhere(record.key, result.seconds)
        await run_in_threadpool(self._disk.spool.empty, record.id, record.bytes)
        outcome = "done" if error is None else "failed"
        self._metrics.jobs_ended.labels(outcome).inc()
        reason = "" if error is None else f" ({error.status} {error.detail.code})"
        log.info("job %s is %s%s", record.id, outcome, reason)
        self._on_change(record.id)


def _found(fetch: Callable[[str], Path], id: str) -> Path:
    """The recording of a job; ApiError (500) if it is gone."""
    try:
        return fetch(id)
    except FileNotFoundError as error:
        raise _gone() from error


def _gone() -> ApiError:
    return ApiError(
        500,
        "The recording of this job is gone from where the service keeps recordings: post it again.",
        code="recording_gone",
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
