"""What goes to the device when, and what happens when that fails.

The device process takes one batch on each of its lanes; the batcher chooses it. When all windows of
a recording have been run, its words are searched for on one of two channels, so that a short
recording never waits for the words of a long one. A batch that fails is split until only the window
that causes the failure is left. A process that dies or hangs, busy or idle, is replaced at once.
The windows that it was running are then run one at a time with nothing beside them, so that only a
window that ends the process again is given up.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from asr.errors import AsrError, BadBundle
from asr.transcript import Segment
from service.engine.batcher import Batch, Batcher, Item
from service.engine.decode_pool import ChannelAudio
from service.engine.device import (
    DEVICE,
    MOST_LANES,
    Load,
    Piece,
    Ready,
    RunModel,
    Search,
    SearchOn,
)
from service.engine.process import Allowance, Cause, Process
from service.engine.tasks import DeviceLost, How, RecordingFailed, Task
from service.engine.worker import Memory, WorkerDied, WorkerFailed, WorkerLate
from service.monitoring.metrics import Metrics

log = logging.getLogger(__name__)

_SEARCH_CHANNELS = {"short": MOST_LANES, "long": MOST_LANES + 1}
_SHORT_S = 60.0
_EXPRESS_S = 30.0
_MOST_ITEMS = 128  # in a batch: each needs a descriptor, and Linux passes 253 at a time
_SEARCH_TRIES = 2
_RETRY_START_S = 5.0
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # many small steps: more threads would only wait
    # glibc raises this by itself to 32 MB, and then keeps what windows of minutes took.
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**20),
}
# A busy machine is no reason to kill a process. A batch may take this many times as long as its
# audio took at warm-up. The search for words, which a request may make as wide as the limits allow,
# may take this many times the audio's length. `DeviceTimeouts.hang_s` is added to both.
_MODEL_PATIENCE = 100.0
_TEXT_PATIENCE = 4.0


@dataclass(frozen=True)
class DeviceTimeouts:
    """After which times the device process counts as hung."""

    hang_s: float
    """Seconds without a sign of life; a batch has these and a generous time for its audio."""
    load_s: float
    """Seconds that loading and warming up a bundle may take."""


class Scheduler:
    """One device: its process, and everything that waits for it.

    Args:
        load: what the process loads.
        target: what the process runs, as in `Worker`.
    """

    def __init__(
        self,
        load: Load,
        timeouts: DeviceTimeouts,
        metrics: Metrics,
        target: str = DEVICE,
    ) -> None:
        self._target = target
        self._load = load
        self._timeouts = timeouts
        self._process: Process | None = None
        self._metrics = metrics
        self._loops: set[asyncio.Task[None]] = set()
        self._tasks: dict[int, Task] = {}
        self._numbers = count()
        self._batcher = Batcher(math.inf, _MOST_ITEMS)
        self._to_search: dict[str, deque[Task]] = {kind: deque() for kind in _SEARCH_CHANNELS}
        self._finished: list[int] = []  # tasks whose log-probabilities are no longer needed
        self._suspects: list[Item] = []  # windows that were running when the process ended
        self._changed = asyncio.Event()
        self._up = asyncio.Event()
        self._short_arrived = -math.inf
        self._up_since = -math.inf
        self.failed = False
        """The process has ended and cannot be started again."""

    async def start(self) -> Ready:
        """Start the process and return what it reports when it is warm.

        Raises:
            BadBundle, BadOption, BadData: as `Recognizer.load`.
        """
        self._ready = ready = await self._start_process()
        self._batcher.budget = ready.batch_seconds
        self._metrics.batch_limit.set(ready.batch_seconds)
        for lane in range(ready.lanes):
            self._spawn(self._lane(lane))
        for kind in _SEARCH_CHANNELS:
            self._spawn(self._searcher(kind))
        self._spawn(self._supervise())
        self._set_up()
        return ready

    def stop(self) -> None:
        """End all loops and the process now."""
        for loop in self._loops:
            loop.cancel()
        if self._process is not None:
            self._process.stop()

    @property
    def pid(self) -> int | None:
        """Id of the process."""
        return None if self._process is None else self._process.pid

    @property
    def up(self) -> bool:
        """Whether there is a process that is warm and known to be alive."""
        return self._up.is_set()

    def disturbed(self, since: float) -> bool:
        """Whether the process was missing at any moment since then, by time.monotonic."""
        return not self.up or self._up_since > since

    async def transcribe(
        self,
        audio: ChannelAudio,
        options: How,
        deadline: float,
        on_progress: Callable[[float], None],
        on_segments: Callable[[list[Segment]], None] | None = None,
        kept: Path | None = None,
    ) -> Task:
        """Transcribe a recording and return its finished task.

        If this is cancelled, the task is dropped before its next batch.

        Args:
            deadline, on_progress, on_segments, kept: as in `Task`.

        Raises:
            RecordingFailed: the device fails on it.
            DeviceLost: the device process ended and cannot be restarted.
        """
        task = Task(
            id=next(self._numbers),
            audio=audio,
            options=options,
            deadline=deadline,
            kept=kept,
            on_progress=on_progress,
            on_segments=on_segments,
            transcript=asyncio.get_running_loop().create_future(),
        )
        self._tasks[task.id] = task
        if audio.seconds <= _SHORT_S and audio.is_whole and not task.is_background:
            self._short_arrived = task.added
        self._queue(task)
        audio.on_growth = partial(self._queue, task)
        try:
            await task.transcript
        finally:
            audio.on_growth = None
            del self._tasks[task.id]
            self._batcher.drop(task.id)
            self._finished.append(task.id)
        return task

    def _queue(self, task: Task) -> None:
        """Queue the windows of a recording that are new."""
        windows = self._ready.recognizer.windows(task.audio.samples)
        # While a recording grows, so does its last window.
        known = windows if task.audio.is_whole else windows[:-1]
        for index in range(len(task.windows), len(known)):
            task.windows.append((known[index].start, known[index].stop))
            self._batcher.add(task.item(index))
        self._changed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        loop = asyncio.create_task(work)
        self._loops.add(loop)
        loop.add_done_callback(self._on_loop_end)

    def _on_loop_end(self, loop: "asyncio.Task[None]") -> None:
        self._loops.discard(loop)
        if not loop.cancelled() and (error := loop.exception()) is not None:
            log.error("a loop of the scheduler failed", exc_info=error)

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
                self._up.clear()
            except (WorkerFailed, AsrError) as error:
                self._failed(batch, error)

    def _longest(self, lane: int) -> float:
        """The longest window, in seconds, that a lane takes now.

        While short recordings arrive, the last lane leaves the windows of long ones to the other
        lanes, since on a CPU each of them takes seconds.
        """
        express = self._ready.lanes > 1 and lane == self._ready.lanes - 1
        short_expected = time.monotonic() < self._short_arrived + _EXPRESS_S
        return _SHORT_S if express and short_expected else math.inf

    async def _run(self, lane: int, batch: Batch) -> None:
        pieces, memory, started = [], [], time.monotonic()
        for item in batch.items:
            if (task := self._tasks.get(item.task)) is not None:
                kept = task.kept if task.is_long else None
                pieces.append(Piece(task.id, item.index, *task.windows[item.index], kept))
                memory.append(task.audio.memory)
                task.started = started if math.isnan(task.started) else task.started
        if not pieces:
            return
        finished, self._finished = self._finished, []
        request = RunModel(tuple(pieces), tuple(finished))
        await self._ask(lane, request, memory, self._batch_timeout_s(batch))
        took = time.monotonic() - started
        self._metrics.observe_batch(batch.seconds, batch.padded_seconds, self._batcher.budget, took)
        for piece in pieces:
            if (task := self._tasks.get(piece.task)) is None:
                self._finished.append(piece.task)  # it was dropped while it ran
                continue
            task.done.add(piece.index)
            task.on_progress(task.share(piece.index))
            if task.is_run:
                task.model_done = time.monotonic()
            self._offer(task)

    def _offer(self, task: Task) -> None:
        """Let the words be searched for if enough windows are done."""
        enough = task.ready > task.read and (task.is_partial or task.is_run)
        if enough and not task.is_searched:
            task.is_searched = True
            # Those that were searched when the process ended go one by one, lest the next end be
            # laid at the door of another.
            is_short = task.audio.seconds <= _SHORT_S and not task.crashes
            self._to_search["short" if is_short else "long"].append(task)
            self._changed.set()

    def _batch_timeout_s(self, batch: Batch) -> float:
        usual_s = self._ready.model_factor * batch.padded_seconds
        return self._timeouts.hang_s + _MODEL_PATIENCE * usual_s

    def _search_timeout_s(self, seconds: float) -> float:
        return self._timeouts.hang_s + _TEXT_PATIENCE * seconds

    async def _ask(
        self, channel: int, message: Any, memory: Sequence[Memory], within_s: float
    ) -> Any:
        if self._process is None:
            raise WorkerDied("the process has never started")
        answer, _ = await self._process.ask(channel, message, Allowance(lambda: within_s), memory)
        return answer

    def _failed(self, batch: Batch, error: Exception) -> None:
        if _out_of_memory(error):
            self._batcher.shrink()
            self._metrics.batch_limit.set(self._batcher.budget)
            log.warning("out of memory: batches now hold at most %g s", self._batcher.budget)
        if len(batch.items) > 1:
            self._batcher.split(batch)
            self._changed.set()
        else:
            self._give_up(batch.items[0].task, RecordingFailed(f"the model failed on it:\n{error}"))

    def _give_up(self, id: int, reason: RecordingFailed | DeviceLost) -> None:
        task = self._tasks.get(id)
        if task is not None and not task.transcript.done():
            task.transcript.set_exception(reason)

    async def _searcher(self, kind: str) -> None:
        while True:
            await self._up.wait()
            tasks = self._next_to_search(self._to_search[kind])
            if tasks and tasks[0].is_partial:
                await self._search_on(_SEARCH_CHANNELS[kind], tasks[0])
            elif tasks:
                await self._search(_SEARCH_CHANNELS[kind], tasks)
            else:
                self._changed.clear()
                await self._changed.wait()

    def _next_to_search(self, waiting: deque[Task]) -> list[Task]:
        """The tasks that have waited longest and have the same options, up to one batch.

        Those that nobody waits for come last.
        """
        taken: list[Task] = []
        seconds = 0.0
        for task in sorted(waiting, key=lambda task: task.is_background):
            if task.id not in self._tasks:
                waiting.remove(task)
            elif not taken or (
                task.options == taken[0].options
                and not (task.is_partial or taken[0].is_partial)
                and task.is_background == taken[0].is_background
                and seconds + task.audio.seconds <= self._batcher.budget
                # A task that may have ended the process goes alone.
                and task.crashes == taken[0].crashes == 0
            ):
                waiting.remove(task)
                taken.append(task)
                seconds += task.audio.seconds
        return taken

    async def _search(self, channel: int, tasks: Sequence[Task]) -> None:
        request = Search(tuple((task.id, task.audio.samples) for task in tasks), tasks[0].options)
        within_s = self._search_timeout_s(sum(task.audio.seconds for task in tasks))
        try:
            transcripts = await self._ask(channel, request, (), within_s)
        except WorkerDied:
            self._search_crashed(tasks)
        except (WorkerFailed, AsrError) as error:
            if len(tasks) == 1:
                self._give_up(tasks[0].id, _search_failed(error))
                return
            for task in tasks:
                await self._search(channel, [task])
        else:
            for task, transcript in zip(tasks, transcripts, strict=True):
                if not task.transcript.done():
                    task.transcript.set_result(transcript)

    async def _search_on(self, channel: int, task: Task) -> None:
        """Search for the words of the windows that have been run since the last time."""
        first, stop = task.read, task.ready
        is_last = task.is_run
        assert isinstance(task.options, dict)  # a known text is searched for as a whole
        request = SearchOn(task.id, first, stop, task.audio.samples, is_last, task.options)
        seconds = math.fsum(task.item(index).seconds for index in range(first, stop))
        within_s = self._search_timeout_s(seconds)
        try:
            segments = await self._ask(channel, request, (), within_s)
        except WorkerDied:
            self._search_crashed([task])
        except (WorkerFailed, AsrError) as error:
            self._give_up(task.id, _search_failed(error))
        else:
            if task.transcript.done():
                return
            task.take(segments, stop)
            if is_last:
                task.transcript.set_result(task.whole())
            self._offer(task)

    def _search_crashed(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            task.crashes += 1
            if task.crashes == _SEARCH_TRIES:
                reason = "the device process ended twice during the search for its words"
                self._give_up(task.id, RecordingFailed(reason))
        self._up.clear()

    async def _start_process(self) -> Ready:
        """Start a process in place of the previous one; what it reports when it is warm."""
        channels, timeouts = MOST_LANES + len(_SEARCH_CHANNELS), self._timeouts
        process = Process(
            self._target, channels, timeouts.hang_s, self._count_end, environment=_ENVIRONMENT
        )
        self._process = process
        bundle = self._load.bundle or "the bundle"
        try:
            ready: Ready = await process.begin(self._load, timeouts.load_s)
        except WorkerLate as error:
            raise BadBundle(
                f"{bundle} was not loaded within {timeouts.load_s:g} s: see whether the device "
                "answers, or raise EARSHOT_LOAD_TIMEOUT_S."
            ) from error
        except WorkerDied as error:
            raise BadBundle(
                f"the process that loads {bundle} ended: give it more memory, or see what it wrote "
                "before this line."
            ) from error
        return ready

    def _count_end(self, cause: Cause) -> None:
        self._metrics.restarts.labels("device", cause).inc()

    def _set_up(self) -> None:
        self._up_since = time.monotonic()
        self._up.set()
        self._changed.set()

    async def _supervise(self) -> None:
        """Replace the process whenever it ends, busy or idle."""
        quick_ends = 0
        while self._process is not None:
            cause = await self._process.ended
            self._up.clear()
            log.error("the device process %s and is replaced", cause)
            lived = time.monotonic() - self._up_since
            quick_ends = quick_ends + 1 if lived < _RETRY_START_S else 0
            if quick_ends > 1:
                await asyncio.sleep(_RETRY_START_S)
            while self._process.pending:  # the other lanes are about to see that it ended
                await asyncio.sleep(0.01)
            await self._replace(self._process)
            while self._suspects:
                item = self._suspects.pop()
                try:
                    await self._run(0, Batch((item,)))
                except WorkerDied:
                    self._give_up(item.task, RecordingFailed("it ended the device process twice"))
                    await self._replace(self._process)
                except (WorkerFailed, AsrError) as error:
                    self._failed(Batch((item,)), error)
            self._set_up()

    async def _replace(self, ended: Process) -> None:
        """Start a new process, which has none of the results of the old one."""
        await ended.gone()
        while True:
            try:
                await self._start_process()
                break
            except (AsrError, WorkerFailed, OSError) as error:
                self.failed = True
                log.error("the device process cannot be started: %s", error)
                for number in self._tasks:
                    self._give_up(number, DeviceLost("the device cannot be started"))
                await asyncio.sleep(_RETRY_START_S)
        self.failed = False
        for queue in self._to_search.values():
            queue.clear()
        suspects = {(item.task, item.index) for item in self._suspects}
        for task in self._tasks.values():
            self._batcher.drop(task.id)
            task.restart()
            for index in range(len(task.windows)):
                if (task.id, index) not in suspects:
                    self._batcher.add(task.item(index))


def _search_failed(error: WorkerFailed | AsrError) -> RecordingFailed:
    # Without its message, which may quote hot words or a known text.
    where = error.places if isinstance(error, WorkerFailed) else type(error).__name__
    return RecordingFailed(f"the search for its words failed:\n{where}")


def _out_of_memory(error: Exception) -> bool:
    message = str(error).lower()
    return any(sign in message for sign in ("out of memory", "bad_alloc", "memoryerror"))
