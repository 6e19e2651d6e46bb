"""Calls of the addresses of jobs that have ended, until each has answered or all tries are over."""

import asyncio
import contextlib
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

from service.errors import ApiError
from service.jobs.disk import Disk
from service.jobs.records import Record
from service.jobs.webhooks import TRIES_S, Callbacks, CallFailed
from service.monitoring.metrics import Metrics

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_MOST = 8
"""Addresses that are called at a time."""
_CALL_S = 60.0
"""Seconds after which a call is given up, whatever its server still sends."""
_CLAIM_S = 2 * _CALL_S
"""Seconds in which no other replica makes the call; if this one ends meanwhile, it is made then."""


class Calls:
    """The calls of one service; those that are due stand in the store."""

    def __init__(self, disk: Disk, callbacks: Callbacks, metrics: Metrics) -> None:
        self._disk = disk
        self._callbacks = callbacks
        self._metrics = metrics
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # Its own: a server that is slow must not keep threads that others wait for.
        self._threads = ThreadPoolExecutor(_MOST, "calls")

    async def run(self) -> None:
        """Make the calls that are due, until cancelled; what is under way then is called again."""
        try:
            while True:
                if (most := _MOST - len(self._tasks)) > 0:
                    with contextlib.suppress(ApiError):
                        take = self._disk.store.take_calls
                        for record in await self._disk.ask(take, most, _CLAIM_S):
                            self._tasks[record.id] = asyncio.create_task(self._call(record))
                await asyncio.sleep(_EVERY_S)
        finally:
            for task in self._tasks.values():
                task.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, record: Record) -> None:
        try:
            outcome, again = await self._outcome(record)
            with contextlib.suppress(ApiError):
                await self._disk.ask(self._disk.store.called, record.id, again)
                self._metrics.callbacks.labels(outcome).inc()
        finally:
            del self._tasks[record.id]

    async def _outcome(self, record: Record) -> tuple[str, float | None]:
        """What came of a call, and in how many seconds there is another one."""
        url, now = str(record.callback), time.time()
        call = partial(self._callbacks.call, url, record.id, now, _told(record))
        try:
            async with asyncio.timeout(_CALL_S):
                await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except (CallFailed, TimeoutError) as error:
            why = error if isinstance(error, CallFailed) else f"no answer within {_CALL_S:g} s"
            log.warning("the address of job %s was not called: %s", record.id, why)
            if record.calls >= len(TRIES_S):  # two replicas may have made one call
                return "given_up", None
            return "failed", TRIES_S[record.calls]
        return "answered", None


def _told(record: Record) -> bytes:
    """What is sent to the address of a job that has ended: no word of what was said."""
    detail = None if record.error is None else record.error["detail"]
    data = {"id": record.id, "state": record.state, "file": record.name, "error": detail}
    ended = datetime.fromtimestamp(record.ended or 0.0, UTC).isoformat(timespec="seconds")
    return json.dumps({"type": f"job.{record.state}", "timestamp": ended, "data": data}).encode()
