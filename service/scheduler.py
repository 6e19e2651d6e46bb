"""Who goes to the device when, and what happens when that fails.

The device's process takes a batch on each of its lanes; the batcher says which. What has been run
is then read (its words are found) on one of two channels, so that a short recording never waits
for the words of a long one. A batch that fails is split until only the piece that makes it fail is
left. A process that dies is replaced; the pieces it was running are then run one at a time with
nothing beside them, so that only the one that kills it again is given up.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import count
from typing import Any

from asr.errors import AsrError
from service import device
from service.batcher import Batch, Batcher, Item
from service.decoding import Sound
from service.device import Load, Piece, Read, Ready, Run
from service.jobs import Broken, Job
from service.metrics import Metrics
from service.process import Process
from service.workers import WorkerDied, WorkerFailed

log = logging.getLogger(__name__)

_READERS = {"short": device.MOST_LANES, "long": device.MOST_LANES + 1}
_SHORT_S = 60.0
_EXPRESS_S = 30.0
_MOST_ITEMS = 128  # of a batch: each comes with a descriptor, and Linux passes 253 at a time
_READ_TRIES = 2
_RETRY_START_S = 5.0


class Scheduler:
    """One device: its process, and all that waits for it.

    Args:
        load: what the process is to hold.
        learn: told of each stage ("model", "text"), padded seconds of sound, and what they took.
    """

    def __init__(
        self, load: Load, learn: Callable[[str, float, float], None], metrics: Metrics
    ) -> None:
        self._process = Process(load, channels=device.MOST_LANES + len(_READERS))
        self._learn = learn
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._jobs: dict[int, Job] = {}
        self._numbers = count()
        self._batcher = Batcher(math.inf, _MOST_ITEMS)
        self._to_read: dict[str, deque[Job]] = {kind: deque() for kind in _READERS}
        self._gone: list[int] = []  # jobs whose log-probabilities nobody needs any more
        self._suspects: list[Item] = []
        self._changed = asyncio.Event()
        self._up = asyncio.Event()
        self._short_came = -math.inf
        self.failed = False
        """The process has died and cannot be started again."""

    async def start(self) -> Ready:
        """Start the process and return what it says when warm; errors are `Recognizer.load`'s."""
        self._ready = ready = await self._process.start()
        self._batcher.budget = ready.batch_seconds
        self._metrics.batch_limit.set(ready.batch_seconds)
        for lane in range(ready.lanes):
            self._spawn(self._lane(lane))
        for kind in _READERS:
            self._spawn(self._reader(kind))
        self._up.set()
        return ready

    def stop(self) -> None:
        """End everything now."""
        for task in self._tasks:
            task.cancel()
        self._process.stop()

    @property
    def pid(self) -> int | None:
        """Id of the process."""
        return self._process.pid

    async def hear(
        self, sound: Sound, options: dict[str, Any], deadline: float, ran: Callable[[float], None]
    ) -> Job:
        """The job of a recording, done; dropped before its next batch where this is cancelled.

        Raises:
            Broken: the device cannot read it.
        """
        windows = self._ready.recognizer.windows(sound.samples)
        job = Job(
            id=next(self._numbers),
            sound=sound,
            options=options,
            deadline=deadline,
            windows=[(window.start, window.stop) for window in windows],
            ran=ran,
            transcript=asyncio.get_running_loop().create_future(),
        )
        self._jobs[job.id] = job
        if sound.seconds <= _SHORT_S:
            self._short_came = job.added
        for index in range(len(job.windows)):
            self._batcher.add(job.item(index))
        self._changed.set()
        try:
            await job.transcript
        finally:
            del self._jobs[job.id]
            self._batcher.drop(job.id)
            self._gone.append(job.id)
        return job

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the scheduler stumbled", exc_info=error)

    async def _lane(self, lane: int) -> None:
        while True:
            await self._up.wait()
            batch = self._batcher.next(self._longest(lane))
            if batch is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            try:
                await self._run(lane, batch)
            except WorkerDied:
                self._suspects += batch.items
                self._revive()
            except (WorkerFailed, AsrError) as error:
                self._failed(batch, error)

    def _longest(self, lane: int) -> float:
        """Of pieces that the lane takes: while short recordings come, the last leaves the windows
        of long ones to the others, as on a CPU each of them takes seconds."""
        express = self._ready.lanes > 1 and lane == self._ready.lanes - 1
        lately = time.monotonic() < self._short_came + _EXPRESS_S
        return _SHORT_S if express and lately else math.inf

    async def _run(self, lane: int, batch: Batch) -> None:
        pieces, memory, began = [], [], time.monotonic()
        for item in batch.items:
            if (job := self._jobs.get(item.job)) is not None:
                pieces.append(Piece(job.id, item.index, *job.windows[item.index]))
                memory.append(job.sound.memory)
                job.began = began if math.isnan(job.began) else job.began
        if not pieces:
            return
        gone, self._gone = self._gone, []
        await self._process.ask(lane, Run(tuple(pieces), tuple(gone)), memory)
        took = time.monotonic() - began
        self._learn("model", batch.padded_seconds, took)
        self._metrics.saw_batch(batch, self._batcher.budget, took)
        for piece in pieces:
            if (job := self._jobs.get(piece.job)) is None:
                self._gone.append(piece.job)  # it went while it was run
                continue
            job.done.add(piece.index)
            job.ran(job.sound.seconds / len(job.windows))
            if len(job.done) == len(job.windows):
                job.read = time.monotonic()
                self._to_read["short" if job.sound.seconds <= _SHORT_S else "long"].append(job)
                self._changed.set()

    def _failed(self, batch: Batch, error: Exception) -> None:
        if _out_of_memory(error):
            self._batcher.shrink()
            self._metrics.batch_limit.set(self._batcher.budget)
            log.warning("out of memory: batches have %g s at most now", self._batcher.budget)
        if len(batch.items) > 1:
            self._batcher.split(batch)
            self._changed.set()
        else:
            self._give_up(batch.items[0].job, f"the model failed on it:\n{error}")

    def _give_up(self, job: int, reason: str) -> None:
        found = self._jobs.get(job)
        if found is not None and not found.transcript.done():
            found.transcript.set_exception(Broken(reason))

    async def _reader(self, kind: str) -> None:
        while True:
            await self._up.wait()
            jobs = self._next_to_read(self._to_read[kind])
            if jobs:
                await self._read(_READERS[kind], jobs)
            else:
                self._changed.clear()
                await self._changed.wait()

    def _next_to_read(self, waiting: deque[Job]) -> list[Job]:
        """Those that wait longest and are to be read alike, as many as make a batch."""
        taken: list[Job] = []
        held = 0.0
        for job in list(waiting):
            if job.id not in self._jobs:
                waiting.remove(job)
            elif not taken or (
                job.options == taken[0].options and held + job.sound.seconds <= self._batcher.budget
            ):
                waiting.remove(job)
                taken.append(job)
                held += job.sound.seconds
        return taken

    async def _read(self, channel: int, jobs: Sequence[Job]) -> None:
        began = time.monotonic()
        asked = Read(tuple((job.id, job.sound.samples) for job in jobs), jobs[0].options)
        try:
            transcripts = await self._process.ask(channel, asked)
        except WorkerDied:
            for job in jobs:
                job.tries += 1
                if job.tries == _READ_TRIES:
                    self._give_up(job.id, "the process that reads it died twice")
            self._revive()
        except (WorkerFailed, AsrError) as error:
            if len(jobs) == 1:
                self._give_up(jobs[0].id, f"its words cannot be found:\n{error}")
                return
            for job in jobs:
                await self._read(channel, [job])
        else:
            seconds = sum(job.sound.seconds for job in jobs)
            self._learn("text", seconds, time.monotonic() - began)
            for job, transcript in zip(jobs, transcripts, strict=True):
                if not job.transcript.done():
                    job.transcript.set_result(transcript)

    def _revive(self) -> None:
        """See to it that the dead process is replaced; whoever was asking it comes here."""
        if self._up.is_set():
            self._up.clear()
            self._spawn(self._revived())

    async def _revived(self) -> None:
        log.error("the process of the device died, and is replaced")
        while self._process.asking:  # every other lane is about to see that it died
            await asyncio.sleep(0.01)
        await self._replaced()
        while self._suspects:
            item = self._suspects.pop()
            try:
                await self._run(0, Batch((item,)))
            except WorkerDied:
                self._give_up(item.job, "it ended the process of the device twice")
                await self._replaced()
            except (WorkerFailed, AsrError) as error:
                self._failed(Batch((item,)), error)
        self._up.set()
        self._changed.set()

    async def _replaced(self) -> None:
        """Have a new process, which knows nothing of what the old one had done."""
        while True:
            self._metrics.restarts.labels("device").inc()
            try:
                await self._process.start()
                break
            except (AsrError, WorkerFailed) as error:
                self.failed = True
                log.error("the device cannot be started: %s", error)
                for number in self._jobs:
                    self._give_up(number, "the process of the device died and cannot be started")
                await asyncio.sleep(_RETRY_START_S)
        self.failed = False
        for queue in self._to_read.values():
            queue.clear()
        suspects = {(item.job, item.index) for item in self._suspects}
        for job in self._jobs.values():
            self._batcher.drop(job.id)
            job.done.clear()
            for index in range(len(job.windows)):
                if (job.id, index) not in suspects:
                    self._batcher.add(job.item(index))


def _out_of_memory(error: Exception) -> bool:
    told = str(error).lower()
    return "out of memory" in told or "bad_alloc" in told or "memoryerror" in told
