"""An upload's way to its words: let in, decoded, run, read. The event loop only hands over."""

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from asr.runtime import Recognizer
from asr.transcript import Transcript
from service.admission import Admission, Estimator, Overloaded, Stages, Ticket
from service.decoding import Decoders, Sound
from service.device import Load
from service.errors import ApiError
from service.jobs import Broken, Job
from service.metrics import Metrics
from service.scheduler import Scheduler
from service.settings import Settings

# An upload of so many bytes a second is taken for sound without compression: no longer estimate is
# fair before its header has been seen.
_LEAST_SECONDS_PER_BYTE = 1 / 32_000


@dataclass(frozen=True)
class Result:
    """What became of a request."""

    transcripts: tuple[Transcript, ...]
    """One, or one for each channel."""
    timings: dict[str, float]
    """Seconds that each stage took: decode, queue, model (features included), text."""


class Transcriber:
    """A bundle on its device, and the requests for it.

    Args:
        decoders: read the uploads; started and stopped by whoever made them.
    """

    def __init__(self, settings: Settings, decoders: Decoders, metrics: Metrics) -> None:
        self._decoders = decoders
        self._metrics = metrics
        self._scheduler = Scheduler(Load(settings.bundle, settings.device), self._learn, metrics)
        self._stages = Stages({"decode": decoders.count})
        self._estimate = Estimator(settings.max_seconds)
        self._admission = Admission(self._stages, settings.deadline_s, settings.max_queue_seconds)
        self._timers: set[asyncio.Timeout] = set()
        self._stopping = False
        self._warm: Recognizer | None = None

    async def start(self) -> None:
        """Load and warm the model; errors are those of `Recognizer.load`."""
        ready = await self._scheduler.start()
        self._stages.add("model", ready.lanes)
        self._stages.add("text", 1)
        for stage, found in ready.costs.items():
            for seconds, took in found:
                self._learn(stage, seconds, took)
        self._warm = ready.recognizer

    def stop(self) -> None:
        """End the device's process; requests not answered by then fail."""
        self._scheduler.stop()

    def give_up(self) -> None:
        """Answer every request that is left: the time to drain is over."""
        self._stopping = True
        for timer in self._timers:
            timer.reschedule(asyncio.get_running_loop().time())

    @property
    def recognizer(self) -> Recognizer:
        """The recogniser, which tells of the bundle; 503 while no process is warm."""
        if self._warm is None or self._scheduler.failed:
            message = "The model is still being loaded: try again in a few seconds."
            raise ApiError(503, message, code="not_ready", headers={"retry-after": "2"})
        return self._warm

    @property
    def model_id(self) -> str:
        """The served model's name."""
        return str(self.recognizer.bundle.info["name"])

    @property
    def pid(self) -> int | None:
        """Id of the device's process."""
        return self._scheduler.pid

    @property
    def queued_seconds(self) -> float:
        """Of sound that is not answered yet."""
        return self._admission.seconds

    @property
    def backlog_s(self) -> float:
        """Seconds that the machine is thought to need for it."""
        return self._admission.backlog_s

    @property
    def real_time_factor(self) -> float:
        """Seconds of sound that are worked off in a second, as learnt of late."""
        return 60.0 / self._stages(60.0)

    def check(self, upload_bytes: int) -> None:
        """Refuse, before it is read, an upload that surely cannot be answered in time."""
        _ = self.recognizer
        try:
            self._admission.check(upload_bytes * _LEAST_SECONDS_PER_BYTE, time.monotonic())
        except Overloaded as error:
            raise _busy(error) from error

    async def transcribe(
        self, body: bytes, name: str, options: dict[str, Any], channels: bool = False
    ) -> Result:
        """The transcript of an encoded recording, or that of each of its `channels`.

        `BadAudio` or `TooLong` call it `name`; `options` are those of `Recognizer.transcribe`.
        ApiError where it cannot be answered in time, or the model fails on it.
        """
        _ = self.recognizer
        try:
            ticket = self._admission.admit(self._estimate(body), time.monotonic())
        except Overloaded as error:
            raise _busy(error) from error
        timer = asyncio.timeout_at(ticket.deadline)  # asyncio's clock is time.monotonic
        self._timers.add(timer)
        try:
            async with timer:
                result = await self._heard(body, name, options, channels, ticket, timer)
            self._admission.answered(ticket, time.monotonic())
            return result
        except TimeoutError as error:
            raise (_STOPPING if self._stopping else _late(ticket)) from error
        except Broken as error:
            raise ApiError(
                500,
                "The model fails on this recording, through no fault of yours: its log tells why.",
                code="internal_error",
                headers={"x-should-retry": "false"},
            ) from error
        finally:
            self._timers.discard(timer)
            self._admission.release(ticket)

    async def _heard(
        self,
        body: bytes,
        name: str,
        options: dict[str, Any],
        channels: bool,
        ticket: Ticket,
        timer: asyncio.Timeout,
    ) -> Result:
        began = time.monotonic()
        sounds, decode_s = await self._decoders.decode(body, name, channels)
        decoded = time.monotonic()
        seconds = sum(sound.seconds for sound in sounds)
        self._estimate.learn(body, sounds[0].seconds)
        self._learn("decode", seconds, decode_s)
        self._admission.correct(ticket, seconds)
        if not self._stopping:
            timer.reschedule(ticket.deadline)
        jobs = await self._jobs(sounds, options, ticket)
        self._metrics.audio.inc(seconds)
        first = jobs[0]
        timings = {
            "decode": decode_s,
            "queue": decoded - began - decode_s + first.began - first.added,
            "model": first.read - first.began,
            "text": time.monotonic() - first.read,
        }
        for stage, took in timings.items():
            self._metrics.stages.labels(stage).observe(took)
        return Result(tuple(job.transcript.result() for job in jobs), timings)

    async def _jobs(
        self, sounds: list[Sound], options: dict[str, Any], ticket: Ticket
    ) -> list[Job]:
        """The recording's channels, through the device; all are dropped where one fails."""

        def ran(seconds: float) -> None:
            self._admission.remain(ticket, max(0.0, ticket.seconds - seconds))

        hear = self._scheduler.hear
        if len(sounds) == 1:
            return [await hear(sounds[0], options, ticket.deadline, ran)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(hear(sound, options, ticket.deadline, ran))
                    for sound in sounds
                ]
        except* Broken as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    def _learn(self, stage: str, seconds: float, took: float) -> None:
        self._stages.observe(stage, seconds, took)


_STOPPING = ApiError(
    503,
    "The service is being stopped, and its time to end what it had is over: send it again.",
    code="stopping",
    headers={"retry-after": "5"},
)


def _late(ticket: Ticket) -> ApiError:
    within = ticket.deadline - ticket.arrived
    return ApiError(
        504,
        f"The recording was not read within {within:.0f} s: send a shorter one, or try again "
        "when less is asked.",
        code="deadline_passed",
        headers={"x-should-retry": "false"},
    )


def _busy(error: Overloaded) -> ApiError:
    why = {
        "queue_full": "The queue is full",
        "deadline": "There is more to do than can be done in time",
    }[error.reason]
    return ApiError(
        503,
        f"{why}: try again in {error.retry_s} seconds.",
        code=error.reason,
        headers={"retry-after": str(error.retry_s)},
    )


def _transcriber(request: Request) -> Transcriber:
    transcriber: Transcriber = request.app.state.shelf.first
    return transcriber


TheTranscriber = Annotated[Transcriber, Depends(_transcriber)]
"""For a route's argument: the app's transcriber."""
