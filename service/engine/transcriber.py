"""One model, and the stages of a request: admission, audio decoding, model, search for words.

The event loop only passes work on; all of it is done in other processes.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from asr.audio import levelled
from asr.errors import AsrError
from asr.options import Selection
from asr.runtime import Recognizer
from asr.runtime.engine import Wave
from asr.transcript import Transcript
from service.engine.admission import Admission, Estimator, Overloaded, Throughput, Ticket
from service.engine.decode_pool import ChannelAudio, DecodePool
from service.engine.device import DEVICE, Load
from service.engine.failures import busy, failures_told, late, lost, not_ready, stopping
from service.engine.order import InOrder, OnSegment
from service.engine.scheduler import DeviceTimeouts, Scheduler
from service.engine.tasks import How, Task
from service.engine.worker import Memory, WorkerFailed
from service.errors import ApiError
from service.monitoring.metrics import Metrics
from service.settings import Settings

log = logging.getLogger(__name__)

# Before its header has been seen, an upload is assumed to be uncompressed audio: any longer
# estimate might refuse it without reason.
_LEAST_SECONDS_PER_BYTE = 1 / 32_000
_FIRST_THROUGHPUT = 100.0  # until the model is warm

OnBegin: TypeAlias = Callable[[list[ChannelAudio]], None]

State: TypeAlias = Literal["loading", "ready", "restarting", "failed", "unloaded"]
"""Of a model: `restarting` while its process, which died or hung, is being replaced, and `failed`
while that does not succeed; `unloaded` while it has none, since nobody uses it, and until the next
request has loaded it."""
TAKES_REQUESTS: frozenset[State] = frozenset({"ready", "unloaded"})
"""States of a model that answers, if not at once."""


@dataclass(frozen=True)
class Background:
    """What goes with a recording that nobody waits for: it takes the capacity that others leave."""

    decoders: DecodePool
    """Decode it."""
    kept: Path
    """Folder for the log-probabilities of windows, so that a restart does not lose them."""
    on_length: Callable[[float], None]
    """Called with its seconds, of all channels, once it is decoded."""
    on_progress: Callable[[float], None]
    """Called with the seconds that another batch has taken through the model."""
    on_segment: OnSegment
    """As of `Transcriber.transcribe`."""


@dataclass(frozen=True)
class Result:
    """The result of a request."""

    transcripts: tuple[Transcript, ...]
    """One, or one for each channel."""
    timings: dict[str, float]
    """Seconds that each stage took: decode, queue, model (features included), text."""
    recognizer: Recognizer
    """The recogniser of the model that was used."""

    @property
    def seconds(self) -> float:
        """Seconds of audio, of all channels."""
        return sum(transcript.duration for transcript in self.transcripts)

    @property
    def transcript(self) -> Transcript:
        """What was said in all channels, in order of time."""
        return Transcript.together(self.transcripts)


class Transcriber:
    """A bundle on its device, and the requests for it.

    Args:
        decoders: decodes the uploads; started and stopped by the caller.
        device: the target of the worker process that runs the model.
    """

    def __init__(
        self, settings: Settings, decoders: DecodePool, metrics: Metrics, device: str = DEVICE
    ) -> None:
        self._decoders = decoders
        self._metrics = metrics
        self._new_scheduler = partial(
            Scheduler,
            Load(settings.bundle, settings.device),
            DeviceTimeouts(settings.hang_s, settings.load_timeout_s),
            metrics,
            device,
        )
        self._scheduler = self._new_scheduler()
        self._is_unloaded = False
        self._loading: asyncio.Task[None] | None = None
        self.used = time.monotonic()
        """When its last request ended, or it was loaded."""
        self._estimate = Estimator(settings.max_seconds)
        self._admission = Admission(
            _FIRST_THROUGHPUT, settings.deadline_s, settings.max_queue_seconds
        )
        self._deadline_s = settings.deadline_s
        self._timers: set[asyncio.Timeout] = set()
        self._stopping = False
        self._warm: Recognizer | None = None

    async def start(self) -> None:
        """Load and warm up the model; errors are those of `Recognizer.load`."""
        ready = await self._scheduler.start()
        self._admission.throughput = Throughput(ready.throughput)
        self._warm = ready.recognizer
        self.used = time.monotonic()

    def stop(self) -> None:
        """End the device process; requests that are not answered by then fail."""
        if self._loading is not None:
            self._loading.cancel()
        self._scheduler.stop()

    def unload(self) -> None:
        """End the device process until `load_again`; it must have no requests."""
        self._is_unloaded = True
        self._scheduler.stop()

    async def load_again(self) -> None:
        """Return when the model is loaded, if it was unloaded: once for all who ask meanwhile.

        ApiError (503) if it cannot be; whoever asks next tries again.
        """
        if not self._is_unloaded:
            return
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            await asyncio.shield(self._loading)  # others wait for it too
        except (AsrError, WorkerFailed, OSError) as error:
            raise not_ready(f"The model cannot be loaded again: {error}") from error

    async def _load(self) -> None:
        scheduler = self._new_scheduler()
        try:
            self._warm = (await scheduler.start()).recognizer
        except BaseException as error:
            scheduler.stop()
            log.error("a model cannot be loaded again: %s", error)
            raise
        finally:
            self._loading = None
        self._scheduler, self._is_unloaded = scheduler, False
        self.used = time.monotonic()

    def give_up(self) -> None:
        """Answer every request that is left, since the time to drain is over."""
        self._stopping = True
        for timer in self._timers:
            if not timer.expired():
                timer.reschedule(asyncio.get_running_loop().time())

    @property
    def state(self) -> State:
        """Whether it takes requests now."""
        if self._is_unloaded:
            return "unloaded"
        if self._scheduler.up:
            return "ready"
        if self._scheduler.failed:
            return "failed"
        return "loading" if self._warm is None else "restarting"

    @property
    def recognizer(self) -> Recognizer:
        """The recogniser, which describes the bundle, also while the process is being replaced.

        ApiError (503) before the model is warm for the first time.
        """
        if self._warm is None:
            message = "The model is still being loaded: try again in a few seconds."
            raise not_ready(message)
        return self._warm

    @property
    def model_id(self) -> str:
        """The served model's name."""
        return str(self.recognizer.bundle.info.name)

    @property
    def longest_s(self) -> float:
        """Seconds of the longest recording under way, as far as known."""
        return self._admission.longest_s

    @property
    def pid(self) -> int | None:
        """Id of the device process."""
        return None if self._is_unloaded else self._scheduler.pid

    @property
    def queued_seconds(self) -> float:
        """Seconds of audio that is not answered yet."""
        return self._admission.seconds

    @property
    def backlog_s(self) -> float:
        """Seconds that the machine is expected to need for it."""
        return self._admission.backlog_s

    @property
    def throughput(self) -> float:
        """Seconds of audio that are processed in a second, as learned recently."""
        return self._admission.throughput.value

    def estimate(self, head: bytes, size: int) -> float:
        """Seconds of a recording of `size` bytes that begins with `head`, before it is decoded."""
        return self._estimate.of(head, size)

    def check(self, upload_bytes: int) -> None:
        """Raise ApiError for an upload, before it is read, that cannot be answered in time."""
        self._refuse_if_unavailable()
        try:
            self._admission.check(upload_bytes * _LEAST_SECONDS_PER_BYTE, time.monotonic())
        except Overloaded as error:
            raise busy(error) from error

    async def transcribe(
        self,
        body: bytes,
        name: str,
        options: How,
        channels: str = "mix",
        track: int | None = None,
        on_segment: OnSegment | None = None,
    ) -> Result:
        """The transcript of an encoded recording, or one for each of its channels.

        Args:
            name: what `BadAudio` and `TooLong` call the recording.
            options: those of `Recognizer.transcribe`, or the text whose words' times are wanted.
            channels, track: as in `Recognizer.transcribe`.
            on_segment: called with the first segments of a long recording while the rest is still
                to be read, in the order of the transcript.

        Raises:
            ApiError: it cannot be answered in time, or the model fails on it.
        """
        self._refuse_if_unavailable()
        selection = Selection(track=track, channels=channels)
        try:
            ticket = self._admission.admit(self._estimate(body), time.monotonic())
        except Overloaded as error:
            raise busy(error) from error
        timer = asyncio.timeout_at(ticket.deadline)  # asyncio's clock is time.monotonic
        self._timers.add(timer)
        try:
            async with timer:
                with failures_told():
                    result = await self._process(
                        body, name, options, selection, ticket, timer, on_segment
                    )
            self._admission.answered(ticket, time.monotonic())
            return result
        except TimeoutError as error:
            raise self._too_late(ticket) from error
        finally:
            self._timers.discard(timer)
            self._admission.release(ticket)

    async def transcribe_behind(
        self,
        path: Path,
        name: str,
        options: How,
        channels: str,
        track: int | None,
        background: Background,
    ) -> Result:
        """As `transcribe`, of a file, whenever no request waits.

        Raises:
            ApiError: the model fails on it, or is not available (503).
        """
        self._refuse_if_unavailable()
        selection = Selection(track=track, channels=channels)

        def on_length(channels_audio: list[ChannelAudio]) -> None:
            background.on_length(sum(audio.seconds for audio in channels_audio))

        with failures_told():
            return await self._result(
                partial(background.decoders.decode, str(path), name, selection),
                on_length,
                lambda channels_audio: self._run(
                    channels_audio,
                    options,
                    math.inf,
                    background.on_progress,
                    background.on_segment,
                    background.kept,
                ),
                is_early=True,
            )

    async def read(self, samples: Wave, options: dict[str, Any], within_s: float) -> Transcript:
        """The transcript of samples `(S,)` at 16 kHz, before recordings that may wait longer.

        Raises:
            ApiError: the model fails on them, or they are not read within the service's deadline.
        """
        self._refuse_if_unavailable()
        now = time.monotonic()
        held = Memory()
        held.append(memoryview(levelled(samples).tobytes()))
        timer = asyncio.timeout_at(now if self._stopping else now + self._deadline_s)
        self._timers.add(timer)
        try:
            async with timer:
                with failures_told():
                    task = await self._scheduler.transcribe(
                        ChannelAudio(held, len(samples)), options, now + within_s, lambda _: None
                    )
        except TimeoutError as error:
            raise stopping() if self._stopping else late(self._deadline_s) from error
        finally:
            self._timers.discard(timer)
        return task.transcript.result()

    async def _process(
        self,
        body: bytes,
        name: str,
        options: How,
        selection: Selection,
        ticket: Ticket,
        timer: asyncio.Timeout,
        on_segment: OnSegment | None,
    ) -> Result:
        def on_length(channels_audio: list[ChannelAudio]) -> None:
            self._estimate.learn(body, channels_audio[0].seconds)
            self._admission.correct(ticket, sum(audio.seconds for audio in channels_audio))
            if not self._stopping and not timer.expired():
                timer.reschedule(ticket.deadline)

        return await self._result(
            partial(self._decoders.decode, body, name, selection),
            on_length,
            lambda channels_audio: self._run(
                channels_audio, options, ticket.deadline, ticket.progress, on_segment
            ),
            is_early=on_segment is not None,
        )

    async def _result(
        self,
        decode: Callable[[OnBegin | None], Coroutine[Any, Any, tuple[list[ChannelAudio], float]]],
        on_length: Callable[[list[ChannelAudio]], None],
        read: Callable[[list[ChannelAudio]], Coroutine[Any, Any, list[Task]]],
        is_early: bool,
    ) -> Result:
        """The result of a recording.

        Args:
            decode: gives its channels and the seconds that this took, as `DecodePool.decode`.
            on_length: called with the channels once they are whole.
            read: gives the finished tasks of the channels.
            is_early: whether the model may begin before all of it is decoded.
        """
        begun: asyncio.Future[list[ChannelAudio]] = asyncio.get_running_loop().create_future()
        started = time.monotonic()

        def begin(channels_audio: list[ChannelAudio]) -> None:
            if not begun.done():
                begun.set_result(channels_audio)

        async def decoded() -> tuple[float, float]:
            channels_audio, decode_s = await decode(begin if is_early else None)
            waited_s = time.monotonic() - started - decode_s
            on_length(channels_audio)
            begin(channels_audio)
            return decode_s, waited_s

        async def tasks() -> list[Task]:
            return await read(await begun)

        times, finished = await _all((decoded(), tasks()))
        return self._timed(finished, *times)

    def _timed(self, tasks: list[Task], decode_s: float, waited_s: float) -> Result:
        """The result of finished tasks, whose audio waited so long to be decoded."""
        self._metrics.audio.inc(sum(task.audio.seconds for task in tasks))
        first = tasks[0]
        timings = {
            "decode": decode_s,
            "queue": waited_s + first.started - first.added,
            "model": first.model_done - first.started,
            "text": time.monotonic() - first.model_done,
        }
        for stage, took in timings.items():
            self._metrics.stages.labels(stage).observe(took)
        transcripts = tuple(task.transcript.result() for task in tasks)
        return Result(transcripts, timings, self.recognizer)

    async def _run(
        self,
        channels_audio: list[ChannelAudio],
        options: How,
        deadline: float,
        on_progress: Callable[[float], None],
        on_segment: OnSegment | None,
        kept: Path | None = None,
    ) -> list[Task]:
        """The finished tasks of the recording's channels; if one fails, all are dropped."""
        order = None if on_segment is None else InOrder(len(channels_audio), on_segment)

        def transcribe(index: int) -> Coroutine[Any, Any, Task]:
            return self._scheduler.transcribe(
                channels_audio[index],
                options,
                deadline,
                on_progress,
                None if order is None else partial(order.add, index),
                None if kept is None else kept / str(index),
            )

        return await _all(transcribe(index) for index in range(len(channels_audio)))

    def _refuse_if_unavailable(self) -> None:
        _ = self.recognizer
        if self._scheduler.failed:
            raise lost()

    def _too_late(self, ticket: Ticket) -> ApiError:
        if self._stopping:
            return stopping()
        # It waited for a new process or was restarted on one: another try is likely to succeed.
        return (
            lost()
            if self._scheduler.disturbed(ticket.arrived)
            else late(ticket.deadline - ticket.arrived)
        )


async def _all(works: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """What they return; if one fails, the others are cancelled and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
