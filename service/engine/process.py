"""A worker process for the event loop: requests do not block, and its end is noticed at once.

A process that hangs is worse than one that dies, because nothing reports it. So each process is
asked for signs of life all the time, and every request has a time limit. A process that misses
either is killed, and its callers get WorkerDied.
"""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from service.engine.worker import Answer, Memory, Worker, WorkerDied, WorkerLate

log = logging.getLogger(__name__)

Cause: TypeAlias = Literal["died", "hung"]
"""Why a process ended that was not told to stop."""

_LONGEST_TICK_S = 1.0
_TICKS = 10  # in the time after which a silent process counts as hung
_GONE_S = 10.0
_WAITING = 0.05
"""How much the time in which a process waits counts beside that in which it works."""


@dataclass(eq=False)
class Allowance:
    """The time that a process has to answer a request, or several in a row."""

    within_s: Callable[[], float]
    """Gives the seconds; they may grow while it works."""
    used_s: float = 0.0

    @property
    def is_used_up(self) -> bool:
        """Whether it did not answer in time."""
        return self.used_s > self.within_s()


class Process:
    """One worker process, from its start to its end.

    Args:
        target, channels, arguments, environment, quiet: as in `Worker`.
        hang_s: seconds without a sign of life after which it counts as hung.
        on_end: called once, when it dies or is killed because it hangs.
        by_work: requests use up their time by what the process works, and hardly while it waits
            for a processor that others use. Where the system does not tell, by the clock.

    Raises:
        OSError: the system cannot start another process.
    """

    def __init__(
        self,
        target: str,
        channels: int,
        hang_s: float,
        on_end: Callable[[Cause], None],
        arguments: Any = None,
        environment: Mapping[str, str] = MappingProxyType({}),
        quiet: bool = False,
        by_work: bool = False,
    ) -> None:
        self._worker = Worker(target, channels, arguments, environment, quiet)
        self._by_work = by_work
        self._threads = ThreadPoolExecutor(channels, "worker")
        self._hang_s = hang_s
        self._on_end = on_end
        self._requests: set[Allowance] = set()
        self._silent_s: float | None = None
        """None until its first sign of life, since imports may take long."""
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Cause] = loop.create_future()
        """Done once it has died, or was killed because it hung."""
        self._watching = [loop.create_task(self._listen()), loop.create_task(self._watch())]

    async def begin(self, first: Any, within_s: float) -> Any:
        """Its answer to the first request; errors are those of `ask`, and end the process too."""
        try:
            answer, _ = await self.ask(0, first, Allowance(lambda: within_s))
        except BaseException:
            self.stop()
            raise
        return answer

    @property
    def pid(self) -> int:
        """Process id."""
        return self._worker.pid

    @property
    def pending(self) -> int:
        """Requests that it has not answered yet."""
        return len(self._requests)

    async def ask(
        self,
        channel: int,
        message: Any,
        allowance: Allowance,
        memory: Sequence[Memory] = (),
    ) -> Answer:
        """Its answer; errors are those of `Worker.ask`.

        Raises:
            WorkerLate: it did not answer in time, and was killed.
        """
        if self.ended.done():
            raise WorkerDied(f"worker {self.pid} has ended")
        self._requests.add(allowance)
        loop, ask = asyncio.get_running_loop(), self._worker.ask
        try:
            return await loop.run_in_executor(self._threads, ask, channel, message, memory)
        except WorkerDied as error:
            self._end("died")  # a process with a broken channel is useless
            if allowance.is_used_up:
                raise WorkerLate(allowance.within_s()) from error
            raise
        finally:
            self._requests.discard(allowance)

    def kill(self) -> None:
        """End it as if it had died."""
        self._end("died")

    def stop(self) -> None:
        """End it on purpose: `on_end` is not called."""
        for task in self._watching:
            task.cancel()
        self._worker.kill()
        self._threads.shutdown(wait=False)  # what waits is told that the process died

    async def gone(self) -> None:
        """Return once the system has removed it, and freed the device memory that it held.

        A process that hangs inside a driver may stay; then this gives up after a while.
        """
        if not await asyncio.to_thread(self._worker.wait, _GONE_S):
            log.error("process %d was killed but does not end: a driver may hold it", self.pid)

    def _end(self, cause: Cause) -> None:
        if not self.ended.done():
            self.ended.set_result(cause)
            self.stop()
            self._on_end(cause)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        with self._worker.life, contextlib.suppress(OSError):
            while await loop.sock_recv(self._worker.life, 64):
                self._silent_s = 0.0
        self._end("died")

    async def _watch(self) -> None:
        """Notice that the process hangs.

        Steps are counted, not seconds of the clock: if this process stood still as well, because
        the machine slept or a debugger stopped it, the other one had no time to answer either.
        """
        tick = min(_LONGEST_TICK_S, self._hang_s / _TICKS)
        self._ping()
        worked_s = self._worked_s()
        while True:
            await asyncio.sleep(tick)
            before, worked_s = worked_s, self._worked_s()
            used_s = tick
            if before is not None and worked_s is not None:
                used_s = max(worked_s - before, _WAITING * tick)
            for allowance in self._requests:
                allowance.used_s += used_s
            if self._silent_s is not None:
                if self._silent_s == 0.0:
                    self._ping()
                self._silent_s += tick
            if (self._silent_s or 0.0) > self._hang_s or any(
                allowance.is_used_up for allowance in self._requests
            ):
                self._end("hung")

    def _worked_s(self) -> float | None:
        """Seconds of processor time that it has used, if these count and the system tells."""
        if not self._by_work or not sys.platform.startswith("linux"):
            return None
        try:
            return time.clock_gettime(~self.pid << 3 | 2)  # the clock of a process: clock_getres(2)
        except OSError:  # it has ended
            return None

    def _ping(self) -> None:
        with contextlib.suppress(OSError):  # it is dead, which `_listen` notices
            self._worker.life.send(b".")
