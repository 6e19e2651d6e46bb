"""Uploads -> samples, in worker processes that a bad file can hang or kill without harm.

A worker imports only `asr.audio`. It writes samples to shared memory while it decodes, so that no
process holds them twice. A wav or flac file at 16 kHz with one channel costs least: it is neither
resampled nor mixed.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asr.audio import SAMPLE_RATE, Limits, Meter, changed, stream
from asr.errors import BadAudio, TooLong
from asr.options import Selection
from service.engine.process import Cause, Process
from service.engine.worker import Answer, Handler, Memory, WorkerDied, WorkerFailed, WorkerLate

log = logging.getLogger(__name__)

SAMPLE_BYTES = 4
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


@dataclass(frozen=True)
class ChannelAudio:
    """One channel's samples: float32, mono, at 16 kHz, in shared memory."""

    memory: Memory
    samples: int

    @property
    def seconds(self) -> float:
        """Length."""
        return self.samples / SAMPLE_RATE


def decoder(limits: Limits) -> Handler:
    """In a worker: `(name, selection, source)` and memory for the first channel -> number
    of samples, and memory for each further channel.

    The answer to None is 0, which says that the worker is ready.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has the limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_BYTES, _ADDRESS_BYTES))

    def decode(message: Any, given: Sequence[Memory]) -> Answer:
        if message is None:
            return 0, ()
        name, selection, source = message
        memory = list(given)
        meters = [Meter()]
        samples = 0
        try:
            for block in stream(source, limits, name, selection):
                memory += [Memory() for _ in range(block.shape[1] - len(memory))]
                meters += [Meter() for _ in range(block.shape[1] - len(meters))]
                samples += len(block)
                for held, meter, channel in zip(memory, meters, block.T, strict=True):
                    held.append(memoryview(channel.tobytes()))
                    meter.add(channel)
            for held, meter in zip(memory, meters, strict=True):
                _level(held, meter)
        except (MemoryError, OSError) as error:
            raise TooLong(
                f"{name} needs more memory to decode than a recording may: cut it, or convert it "
                "to wav at 16 kHz"
            ) from error
        return samples, memory[1:]

    return decode


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
        patience: DecodeTimeouts,
        on_end: Callable[[Cause], None],
        target: str = DECODER,
    ) -> None:
        self._target = target
        self.count = count
        self._limits = limits
        self._patience = patience
        self._on_end = on_end
        self._processes: set[Process] = set()
        self._idle: asyncio.LifoQueue[Process] = asyncio.LifoQueue()
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
        self, source: bytes | str, name: str, selection: Selection
    ) -> tuple[list[ChannelAudio], float]:
        """The selected channels of the recording, and the seconds that decoding took.

        Args:
            source: the recording's bytes, or its path.

        Raises:
            BadAudio: it cannot be read, or ended the process that read it twice.
            TooLong: it exceeds a limit, or took too long.
            BadOption: it has no such track or channel.
        """
        tries = 0
        while tries < _TRIES:
            process = await self._free()
            # Shielded: when the client disconnects, the process still finishes its file.
            request = asyncio.ensure_future(self._ask(process, (name, selection, source)))
            request.add_done_callback(lambda done: done.exception())
            try:
                return await asyncio.shield(request)
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
                    "a decoder failed on a recording, which is a fault of the service:\n%s", error
                )
                break
        raise BadAudio(f"{name} is damaged: the program that reads it stumbles; record it again")

    async def _free(self) -> Process:
        while True:
            process = await self._idle.get()
            if not process.ended.done():
                return process

    async def _ask(self, process: Process, message: Any) -> tuple[list[ChannelAudio], float]:
        first, patience = Memory(), self._patience

        def within_s() -> float:
            decoded = first.size / SAMPLE_BYTES / SAMPLE_RATE
            return patience.timeout_s + patience.per_second * decoded

        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            samples, others = await process.ask(0, message, [first], within_s=within_s)
        except WorkerFailed:
            process.kill()  # its state is unknown
            raise
        finally:
            self._idle.put_nowait(process)
        return [ChannelAudio(held, samples) for held in (first, *others)], loop.time() - started

    async def _keep(self, started: asyncio.Event) -> None:
        """Keep one process running: start another one whenever it ends."""
        while True:
            try:
                # Decoding libraries print messages about damaged files, past all logging.
                process = Process(
                    self._target, 1, self._patience.hang_s, self._on_end, self._limits, quiet=True
                )
                await process.begin(None, _START_S)
            except (WorkerDied, WorkerFailed, OSError) as error:
                log.error("a decoder cannot be started: %s", error)
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
