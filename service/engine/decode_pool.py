"""Uploads -> samples, in worker processes that a bad file can hang or kill without harm.

A worker imports only `asr.audio`. It writes samples to shared memory while it decodes, so that no
process holds them twice. A wav or flac file at 16 kHz with one channel costs least: it is neither
resampled nor mixed. The model may begin with the first minutes of a long recording while the rest
is decoded, once they are loud enough: the level of a quiet one is known at its end.
"""

import asyncio
import contextlib
import logging
import math
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asr.audio import SAMPLE_RATE, Limits, Meter, changed, stream
from asr.errors import BadAudio, BadMachine, TooLong
from asr.options import Selection
from service.engine.process import Allowance, Cause, Process
from service.engine.worker import Answer, Handler, Memory, WorkerDied, WorkerFailed, WorkerLate

log = logging.getLogger(__name__)

SAMPLE_BYTES = 4
STRETCH_S = 60.0
"""Seconds of sound between two answers about a recording that may be begun early."""
DECODER = "service.engine.decode_pool:decoder"
"""The target of the processes that decode uploads."""
PATIENT_DECODER = "service.engine.decode_pool:patient_decoder"
"""The target of processes that decode what nobody waits for."""
_TRIES = 2
_BLOCK_BYTES = 2**20
_START_S = 120.0
_NICENESS = 10
_RETRY_START_S = 5.0
# Libraries and one block of audio need far less: a file that makes a decoder need more is hostile.
_ADDRESS_BYTES = 4 * 2**30


@dataclass(eq=False)
class ChannelAudio:
    """One channel's samples: float32, mono, at 16 kHz, in shared memory."""

    memory: Memory
    samples: int
    is_whole: bool = True
    """Whether no more samples come."""
    on_growth: Callable[[], None] | None = None
    """Called when more samples have come, or the last."""

    @property
    def seconds(self) -> float:
        """Length."""
        return self.samples / SAMPLE_RATE

    def grow(self, samples: int, is_whole: bool) -> None:
        """There are so many samples by now."""
        self.samples, self.is_whole = max(self.samples, samples), is_whole
        if self.on_growth is not None:
            self.on_growth()


@dataclass(frozen=True)
class Decode:
    """Decode a recording; the answer is Decoded, with memory for each further channel."""

    name: str
    selection: Selection
    source: bytes | str
    """Its bytes, or its path."""
    early: bool = False
    """Whether an answer comes for each stretch; GoOn then asks for the next."""


@dataclass(frozen=True)
class GoOn:
    """Decode the next stretch of the recording."""


@dataclass(frozen=True)
class Decoded:
    """So many samples are in memory at their level."""

    samples: int
    is_whole: bool


def decoder(limits: Limits) -> Handler:
    """In a worker: answers Decode, which comes with memory for the first channel or more, and GoOn.

    Any other message ends what it has begun, and its answer says that the worker is ready.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has the limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_BYTES, _ADDRESS_BYTES))

    begun: Generator[Answer] = _nothing()

    def decode(message: Any, given: Sequence[Memory]) -> Answer:
        nonlocal begun
        if isinstance(message, GoOn):
            return next(begun)
        begun.close()
        begun = _decoded(message, given, limits) if isinstance(message, Decode) else _nothing()
        return next(begun)

    def answered(message: Any, given: Sequence[Memory]) -> Answer:
        answer, sent = decode(message, given)
        if answer.is_whole:  # the next request may be far off: let go of the recording
            begun.close()
        return answer, sent

    return answered


def _nothing() -> Generator[Answer]:
    yield Decoded(0, is_whole=True), ()


def _decoded(asked: Decode, given: Sequence[Memory], limits: Limits) -> Generator[Answer]:
    """The answers about a recording; the last when it is whole."""
    memory, meters = list(given), [Meter() for _ in given]
    samples, told, answered = 0, len(given), 0
    try:
        with closing(stream(asked.source, limits, asked.name, asked.selection)) as blocks:
            for block in blocks:
                memory += [Memory() for _ in range(block.shape[1] - len(memory))]
                meters += [Meter() for _ in range(block.shape[1] - len(meters))]
                for held, meter, channel in zip(memory, meters, block.T, strict=True):
                    held.write(SAMPLE_BYTES * samples, memoryview(channel.tobytes()))
                    meter.add(channel)
                samples += len(block)
                is_due = asked.early and samples - answered >= STRETCH_S * SAMPLE_RATE
                if is_due and all(meter.is_loud for meter in meters):  # else it may be amplified
                    yield Decoded(samples, is_whole=False), memory[told:]
                    told, answered = len(memory), samples
        for held, meter in zip(memory, meters, strict=True):
            _level(held, meter)
    except (MemoryError, OSError) as error:
        raise TooLong(
            f"{asked.name} needs more memory to decode than a recording may: cut it, or convert it "
            "to wav at 16 kHz"
        ) from error
    yield Decoded(samples, is_whole=True), memory[told:]


def patient_decoder(limits: Limits) -> Handler:
    """In a worker: as `decoder`, but it leaves the cores to others."""
    os.nice(_NICENESS)
    return decoder(limits)


def _level(held: Memory, meter: Meter) -> None:
    """Amplify a recording that is too quiet, as `Recognizer.lattices` does."""
    offset, gain = meter.change()
    if gain == 1.0:
        return
    for start in range(0, held.size, _BLOCK_BYTES):
        samples = np.frombuffer(held.read(start, start + _BLOCK_BYTES), np.float32)
        held.write(start, memoryview(changed(samples, offset, gain).tobytes()))


@dataclass(frozen=True)
class DecodeTimeouts:
    """After which times a decoding process is given up."""

    timeout_s: float
    """Seconds that any recording may take."""
    per_second: float
    """Seconds more for each second of audio that it has decoded so far."""
    hang_s: float
    """Seconds without a sign of life."""
    by_work: bool = False
    """Whether only the time in which it works counts, as of `Process`."""


@dataclass(eq=False)
class _Recording:
    """A recording on its way through the decoding processes."""

    asked: Decode
    on_begin: Callable[[list[ChannelAudio]], None] | None
    channels: list[ChannelAudio] = field(default_factory=list)
    """Once some of it is decoded."""
    is_wanted: bool = True

    def take(self, decoded: Decoded, memory: Sequence[Memory]) -> None:
        """Note what is decoded by now, in the memory of its channels."""
        if self.channels:
            for audio in self.channels:
                audio.grow(decoded.samples, decoded.is_whole)
            return
        self.channels = [ChannelAudio(held, decoded.samples, decoded.is_whole) for held in memory]
        if self.on_begin is not None and not decoded.is_whole:
            self.on_begin(self.channels)


class DecodePool:
    """A pool of decoding processes, each replaced as soon as it ends.

    Args:
        count: number of processes.
        on_end: called when a process died or was killed.
        target: what each process runs, as in `Worker`.
    """

    def __init__(
        self,
        count: int,
        limits: Limits,
        timeouts: DecodeTimeouts,
        on_end: Callable[[Cause], None],
        target: str = DECODER,
    ) -> None:
        self._target = target
        self.count = count
        self._limits = limits
        self._timeouts = timeouts
        self._on_end = on_end
        self._processes: set[Process] = set()
        self._idle: asyncio.LifoQueue[Process | None] = asyncio.LifoQueue()
        """None where there is no process and none can be started."""
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the processes, and return when they take uploads."""
        started = [asyncio.Event() for _ in range(self.count)]
        self._keepers = [asyncio.create_task(self._keep(event)) for event in started]
        await asyncio.gather(*(event.wait() for event in started))

    @property
    def pids(self) -> set[int]:
        """The ids of the running processes."""
        return {process.pid for process in self._processes}

    async def decode(
        self,
        source: bytes | str,
        name: str,
        selection: Selection,
        on_begin: Callable[[list[ChannelAudio]], None] | None = None,
    ) -> tuple[list[ChannelAudio], float]:
        """The selected channels of the recording, and the seconds that decoding took.

        Args:
            source: the recording's bytes, or its path.
            on_begin: called with the channels of a long recording, once, while the rest of it is
                still to be decoded; they grow until this returns.

        Raises:
            BadAudio: it cannot be read, or ended the process that read it twice.
            TooLong: it exceeds a limit, or took too long.
            BadOption: it has no such track or channel.
            BadMachine: no process can be started, or they lack what reads it.
        """
        recording = _Recording(Decode(name, selection, source, on_begin is not None), on_begin)
        tries = 0
        while tries < _TRIES:
            process = await self._free(alive=tries > 0)
            # Shielded: when the client disconnects, the process still finishes its stretch.
            request = asyncio.ensure_future(self._ask(process, recording))
            request.add_done_callback(lambda done: done.exception())
            try:
                took_s = await asyncio.shield(request)
                return recording.channels, took_s
            except asyncio.CancelledError:
                recording.is_wanted = False
                raise
            except WorkerLate as error:
                raise TooLong(
                    f"{name} took more than {error.seconds:.3g} s to decode: cut it into shorter "
                    "recordings, or convert it to wav at 16 kHz"
                ) from error
            except WorkerDied:
                # A hung process is not counted: no recording can stop a sign of life, so something
                # else did.
                tries += process.ended.result() == "died"
            except WorkerFailed as error:
                log.error(
                    "a decoder failed on a recording, which is a fault of the service:\n%s",
                    error.places,
                )
                raise BadAudio(
                    f"{name} cannot be decoded, through a fault of the service that its log tells: "
                    "convert it, for example to flac"
                ) from error
        raise BadAudio(f"{name} is damaged: the program that reads it stumbles; record it again")

    async def _free(self, alive: bool) -> Process:
        """An idle process.

        Args:
            alive: it has just answered. Else it may have died with others, which nobody has noticed
                yet, and a recording that is tried again would be blamed for it.
        """
        while True:
            process = await self._idle.get()
            if process is None:
                if self._processes:
                    continue
                self._idle.put_nowait(None)  # for whoever asks next
                raise BadMachine("no process that decodes uploads can be started")
            if process.ended.done():
                continue
            try:
                if alive:
                    await process.ask(0, None, Allowance(lambda: math.inf))
            except WorkerDied:
                continue
            except BaseException:
                self._idle.put_nowait(process)
                raise
            return process

    async def _ask(self, process: Process, recording: _Recording) -> float:
        """Let a process decode a recording; the seconds that it took."""
        try:
            return await self._decode(process, recording)
        except WorkerFailed:
            process.kill()  # its state is unknown
            raise
        finally:
            self._idle.put_nowait(process)

    async def _decode(self, process: Process, recording: _Recording) -> float:
        # A second process writes to the same memory what the first one wrote.
        memory = [audio.memory for audio in recording.channels] or [Memory()]
        timeouts, now = self._timeouts, asyncio.get_running_loop().time

        def within_s() -> float:
            decoded = memory[0].size / SAMPLE_BYTES / SAMPLE_RATE
            return timeouts.timeout_s + timeouts.per_second * decoded

        message: Decode | GoOn | None = recording.asked
        given: Sequence[Memory] = memory
        started, allowance = now(), Allowance(within_s)
        while True:
            decoded, others = await process.ask(0, message, allowance, given)
            memory += others
            if recording.is_wanted:
                recording.take(decoded, memory)
            if decoded.is_whole:
                return now() - started
            message, given = GoOn() if recording.is_wanted else None, ()

    async def _keep(self, started: asyncio.Event) -> None:
        """Keep one process running: start another one whenever it ends."""
        while True:
            try:
                # Decoding libraries print messages about damaged files, past all logging.
                process = Process(
                    self._target, 1, self._timeouts.hang_s, self._on_end, self._limits, quiet=True,
                    by_work=self._timeouts.by_work,
                )  # fmt: skip
                await process.begin(None, _START_S)
            except (WorkerDied, WorkerFailed, OSError) as error:
                log.error("a decoder cannot be started: %s", error)
                if not self._processes and self._idle.empty():
                    self._idle.put_nowait(None)
                await asyncio.sleep(_RETRY_START_S)
                continue
            self._processes.add(process)
            self._idle.put_nowait(process)
            started.set()
            cause = await process.ended
            log.warning("a decoder %s and is replaced", cause)
            self._processes.discard(process)
            await process.gone()

    def stop(self) -> None:
        """End every process now."""
        for keeper in self._keepers:
            keeper.cancel()
        for process in self._processes:
            process.stop()
