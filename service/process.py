"""The device's process as the event loop sees it: asked without waiting for it, started anew."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asr.errors import BadBundle
from service import device
from service.device import Load, Ready
from service.workers import Memory, Worker, WorkerDied

_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}  # the steps are small and many: more threads only wait


class Process:
    """One process that holds what `load` says, and after its death another one."""

    def __init__(self, load: Load, channels: int) -> None:
        self._load = load
        self._channels = channels
        self._threads = ThreadPoolExecutor(channels + 1, "device")
        self._worker: Worker | None = None
        self.asking = 0
        """Questions that it has not answered yet."""

    @property
    def pid(self) -> int | None:
        """Its id."""
        return None if self._worker is None else self._worker.pid

    async def start(self) -> Ready:
        """Start it, in place of a dead one, and return what it says when warm.

        Raises:
            BadBundle, BadOption, BadData: as `Recognizer.load`.
        """
        if self._worker is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads, self._worker.kill)
        self._worker = Worker(device.TARGET, self._channels, environment=_ENVIRONMENT)
        try:
            ready: Ready = await self.ask(0, self._load)
        except WorkerDied as error:
            raise BadBundle(
                f"the process that loads {self._load.bundle or 'the bundle'} ended: give it more "
                "memory, or see what it said before this line."
            ) from error
        return ready

    async def ask(self, channel: int, message: Any, memory: Sequence[Memory] = ()) -> Any:
        """Its answer; errors are those of `Worker.ask`."""
        if self._worker is None:
            raise WorkerDied("the process was never started")
        self.asking += 1
        try:
            loop, ask = asyncio.get_running_loop(), self._worker.ask
            answer, _ = await loop.run_in_executor(self._threads, ask, channel, message, memory)
            return answer
        finally:
            self.asking -= 1

    def stop(self) -> None:
        """End it now."""
        if self._worker is not None:
            self._worker.kill()
        self._threads.shutdown(wait=False, cancel_futures=True)
