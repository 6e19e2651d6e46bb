"""The work on jobs: whose turn it is, what is being worked on, and what comes of it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi.concurrency import run_in_threadpool

from asr.audio import Limits
from asr.transcript import Segment
from service.access.usage import Usage
from service.engine.decode_pool import PATIENT_DECODER, DecodePool, DecodeTimeouts
from service.engine.registry import ModelRegistry
from service.engine.transcriber import Background, Result
from service.errors import ApiError, recogniser_error
from service.jobs.disk import Disk
from service.jobs.fair import FairQueue, Place, Waiting
from service.jobs.results import packed
from service.jobs.store import Record
from service.monitoring.metrics import Metrics
from service.settings import Settings

log = logging.getLogger(__name__)

_MOST_RUNNING = 16
_LENGTHS_HELD = 2
"""Jobs run at a time whose recordings have so many times the longest length together, at most."""
_MOST_STARTS = 20
_RETRY_S = 2.0


@dataclass(eq=False)
class Running:
    """A job that is being worked on."""

    waiting: Waiting
    seconds: float
    """Of audio: an estimate until it is decoded."""
    heard: float = 0.0
    """Seconds of it that are done."""
    segments: list[Segment] = field(default_factory=list)
    """Those that are known."""
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
        self._running: dict[str, Running] = {}
        self._wake = asyncio.Event()
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
        metrics.jobs_audio.set_function(lambda: self._queue.seconds + self.left)

    def add(self, record: Record) -> None:
        """Queue a job."""
        self._queue.add(Waiting(record.id, record.key, record.seconds))
        self._wake.set()

    def running(self, id: str) -> Running | None:
        """A job, if it is being worked on."""
        return self._running.get(id)

    def place(self, id: str) -> Place:
        """Where a job waits."""
        return self._queue.place(id) or Place(1, 0.0)

    @property
    def left(self) -> float:
        """Seconds of audio that those being worked on still need."""
        return sum(running.left for running in self._running.values())

    def unfinished(self, key: str) -> tuple[int, float]:
        """Jobs of a key that wait or run, and the seconds of audio that they still need."""
        waiting = self._queue.of(key)
        running = [one for one in self._running.values() if one.waiting.key == key]
        seconds = sum(job.seconds for job in waiting) + sum(one.left for one in running)
        return len(waiting) + len(running), seconds

    async def run(self) -> None:
        """Work on jobs, until cancelled."""
        await self._decoders.start()
        while True:
            while self._has_room() and (waiting := self._queue.take()) is not None:
                running = Running(waiting, waiting.seconds)
                self._running[waiting.id] = running
                running.task = asyncio.create_task(self._run(running))
            await self._wake.wait()
            self._wake.clear()

    async def pause(self) -> None:
        """Cancel what is being worked on; it waits for the next start."""
        ids = list(self._running)
        for id in ids:
            await self.cancel(id)
        for id in ids:
            with contextlib.suppress(ApiError):
                await self._disk.ask(self._disk.store.put_back, id)
        if ids:
            log.info("%d jobs go on at the next start", len(ids))

    def stop(self) -> None:
        """End the process that decodes."""
        self._decoders.stop()

    async def cancel(self, id: str) -> None:
        """Stop to work on a job, and let it wait no more."""
        self._queue.remove(id)
        if (running := self._running.get(id)) is not None and running.task is not None:
            running.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running.task

    async def give_up(self, record: Record, error: ApiError) -> None:
        """End a job with an error."""
        await self.cancel(record.id)
        await self._end(record, None, error)

    def _has_room(self) -> bool:
        first = self._queue.first()
        if first is None or not self._running:
            return first is not None
        seconds = first.seconds + sum(running.seconds for running in self._running.values())
        longest = _LENGTHS_HELD * self._longest_s
        return len(self._running) < _MOST_RUNNING and seconds <= longest

    async def _run(self, running: Running) -> None:
        try:
            while not await self._tried(running):
                await asyncio.sleep(_RETRY_S)
        finally:
            del self._running[running.waiting.id]
            self._on_change(running.waiting.id)
            self._wake.set()

    async def _tried(self, running: Running) -> bool:
        """Work on a job; whether it has ended. Otherwise another try may succeed."""
        id = running.waiting.id
        running.heard = 0.0
        running.segments = []
        try:
            record = await self._disk.ask(self._disk.store.get, id)
            if record is None or record.has_ended:
                return True
            await self._disk.ask(self._disk.store.begin, id, time.time())
            result, error = await self._result(record, running)
            if error is not None and error.status == 503:
                await self._disk.ask(self._disk.store.put_back, id)
                return False
            await self._end(record, result, error)
        except ApiError:  # of the disk
            return False
        return True

    async def _result(
        self, record: Record, running: Running
    ) -> tuple[Result | None, ApiError | None]:
        """The result of a job, or why there is none."""
        if record.starts >= _MOST_STARTS:
            return None, _deadly()
        fields = record.fields
        try:
            result = await self._registry.transcribe_behind(
                fields["model"],
                record.options,
                self._disk.spool.recording(record.id),
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

    async def _end(self, record: Record, result: Result | None, error: ApiError | None) -> None:
        """End a job, once."""
        store = self._disk.store
        if result is not None:
            content = await run_in_threadpool(packed, result.transcripts, result.timings)
            ended = await self._disk.ask(
                store.finish, record.id, time.time(), result.seconds, content
            )
            if ended:
                self._usage.add(record.key, result.seconds)
        else:
            assert error is not None
            told = {"status": error.status, "detail": error.detail.model_dump()}
            ended = await self._disk.ask(store.finish, record.id, time.time(), None, None, told)
        await self._disk.ask(self._disk.spool.empty, record.id)
        if ended:
            outcome = "done" if error is None else "failed"
            self._metrics.jobs_ended.labels(outcome).inc()
            reason = "" if error is None else f" ({error.status} {error.detail.code})"
            log.info("job %s is %s%s", record.id, outcome, reason)
        self._on_change(record.id)


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
