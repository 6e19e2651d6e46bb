"""Uploads -> samples, in worker processes that a bad file can hang or kill without harm.

A worker imports `asr.audio` and no more. Samples are written to shared memory as they are decoded,
so that no process holds them twice. A recording at 16 kHz with one channel, in wav or flac, costs
least: it is neither resampled nor mixed.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from asr.audio import SAMPLE_RATE, Limits, stream
from asr.errors import BadAudio, TooLong
from service.workers import Answer, Handler, Memory, Worker, WorkerDied, WorkerFailed

log = logging.getLogger(__name__)

SAMPLE_BYTES = 4
TARGET = "service.decoding:decoder"
_TRIES = 2
# Libraries and one block of sound take far less; a file that makes a decoder want more is a bomb.
_ADDRESS_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Sound:
    """One channel's samples: float32, mono, at 16 kHz, in shared memory."""

    memory: Memory
    samples: int

    @property
    def seconds(self) -> float:
        """Length."""
        return self.samples / SAMPLE_RATE


def decoder(limits: Limits) -> Handler:
    """In a worker: `(name, apart, body)` -> samples, and a piece of memory for each channel.

    It answers None with 0: it is there.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has the limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_BYTES, _ADDRESS_BYTES))

    def decode(message: Any, _: Sequence[Memory]) -> Answer:
        if message is None:
            return 0, ()
        name, apart, body = message
        memory: list[Memory] = []
        samples = 0
        try:
            for block in stream(body, limits, name, channels=apart):
                memory = memory or [Memory() for _ in range(block.shape[1])]
                samples += len(block)
                for held, channel in zip(memory, block.T, strict=True):
                    held.append(memoryview(channel.tobytes()))
        except (MemoryError, OSError) as error:
            raise TooLong(
                f"{name} needs more memory to decode than a recording may: cut it, or convert it "
                "to wav at 16 kHz"
            ) from error
        return samples, memory or [Memory()]

    return decode


class Decoders:
    """A pool of decoding processes.

    Args:
        count: how many there are.
        timeout_s: seconds after which a process that still decodes a recording is killed.
        died: called when a process is replaced.
    """

    def __init__(
        self, count: int, limits: Limits, timeout_s: float, died: Callable[[], None]
    ) -> None:
        self.count = count
        self._died = died
        self._limits = limits
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(count, "decode")
        self._workers: set[Worker] = set()
        self._idle: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()

    async def start(self) -> None:
        """Start the processes, and return when they take uploads."""
        self._workers = {self._started() for _ in range(self.count)}
        await asyncio.gather(*(self._awaited(worker) for worker in self._workers))
        for worker in self._workers:
            self._idle.put_nowait(worker)

    @property
    def pids(self) -> set[int]:
        """The processes' ids."""
        return {worker.pid for worker in self._workers}

    async def decode(self, body: bytes, name: str, apart: bool) -> tuple[list[Sound], float]:
        """The recording, mixed or its channels apart, and the seconds that decoding took.

        Raises:
            BadAudio: it cannot be read, or twice ended the process that read it.
            TooLong: it is beyond a limit, or took too long.
        """
        for _ in range(_TRIES):
            worker = await self._idle.get()
            # Shielded: a client that hangs up leaves the worker to end its file.
            asked = asyncio.ensure_future(self._asked(worker, name, (name, apart, body)))
            asked.add_done_callback(lambda done: done.exception())
            try:
                return await asyncio.shield(asked)
            except WorkerDied:
                continue
            except WorkerFailed as error:
                log.error("a recording that no decoder should stumble over:\n%s", error)
                break
        raise BadAudio(f"{name} is damaged: the program that reads it stumbles; record it again")

    async def _asked(self, worker: Worker, name: str, message: Any) -> tuple[list[Sound], float]:
        loop = asyncio.get_running_loop()
        try:
            if not worker.alive:  # it was killed while it was idle
                worker = await self._replaced(worker)
            began = loop.time()
            alarm = loop.call_later(self._timeout_s, os.kill, worker.pid, signal.SIGKILL)
            try:
                answer = await loop.run_in_executor(self._threads, worker.ask, 0, message)
            except (WorkerDied, WorkerFailed):
                alarm.cancel()  # before its id can be another's
                late = loop.time() >= alarm.when()
                worker = await self._replaced(worker)
                if late:
                    raise TooLong(
                        f"{name} took more than {self._timeout_s:g} s to decode: cut it into "
                        "shorter recordings, or convert it to wav at 16 kHz"
                    ) from None
                raise
            finally:
                alarm.cancel()
        finally:
            self._idle.put_nowait(worker)
        samples, memory = answer
        return [Sound(held, samples) for held in memory], loop.time() - began

    async def _replaced(self, worker: Worker) -> Worker:
        self._died()
        await asyncio.get_running_loop().run_in_executor(self._threads, worker.kill)
        fresh = self._started()
        try:
            await self._awaited(fresh)
        except WorkerDied:
            fresh.kill()
            raise
        self._workers.remove(worker)
        self._workers.add(fresh)
        return fresh

    def _started(self) -> Worker:
        # Decoders of damaged files print their thoughts, past all logging.
        return Worker(TARGET, 1, self._limits, quiet=True)

    async def _awaited(self, worker: Worker) -> None:
        """Return when it is there: its start is no upload's time."""
        await asyncio.get_running_loop().run_in_executor(self._threads, worker.ask, 0, None)

    def stop(self) -> None:
        """End every process now."""
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(wait=False, cancel_futures=True)
