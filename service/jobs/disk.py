"""The disk of jobs: one thread that asks the store, and the spool of recordings."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from sqlite3 import Error as DatabaseError
from typing import Any, TypeVar

from fastapi.concurrency import run_in_threadpool

from service.errors import ApiError
from service.jobs.spool import Spool
from service.jobs.store import Record, Store

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Disk:
    """The store and the spool in a folder, from `open` until `close`.

    Args:
        folder: None if the service takes no jobs.
        most_bytes: that all recordings may take.
    """

    def __init__(self, folder: Path | None, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._thread = ThreadPoolExecutor(1, "jobs")
        self._store: Store | None = None
        self._spool: Spool | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a store."""
        return self._store is not None

    async def open(self) -> list[Record]:
        """Open the folder; the jobs that have not ended, the oldest first.

        Raises:
            BadOption: the folder or its store cannot be used.
        """
        if self._folder is None:
            return []
        loop = asyncio.get_running_loop()
        spool = await run_in_threadpool(Spool, self._folder / "spool", self._most_bytes)
        path = self._folder / "jobs.sqlite"
        store = await loop.run_in_executor(self._thread, Store, path)
        records = await loop.run_in_executor(self._thread, store.unended)
        await run_in_threadpool(spool.sweep, {record.id for record in records})
        self._store, self._spool = store, spool
        return records

    async def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            store, self._store = self._store, None
            await asyncio.get_running_loop().run_in_executor(self._thread, store.close)
        self._thread.shutdown()

    @property
    def store(self) -> Store:
        """The store; ApiError if there is none (403), or none yet (503)."""
        if self._store is None:
            raise _off() if self._folder is None else _not_yet()
        return self._store

    @property
    def spool(self) -> Spool:
        """The recordings; errors are those of `store`."""
        if self._spool is None:
            raise _off() if self._folder is None else _not_yet()
        return self._spool

    @property
    def held(self) -> int:
        """Bytes of all recordings."""
        return 0 if self._spool is None else self._spool.held

    async def ask(self, call: Callable[..., _T], *values: Any) -> _T:
        """What a method of the store or the spool gives; ApiError (503) if the disk fails it."""
        loop = asyncio.get_running_loop()
        return await guarded(loop.run_in_executor(self._thread, partial(call, *values)))


async def guarded(work: Awaitable[_T]) -> _T:
    """What `work` gives; ApiError (503) if the disk fails it."""
    try:
        return await work
    except (DatabaseError, OSError) as error:
        raise disk_failed(error) from error


def disk_failed(error: Exception) -> ApiError:
    """What clients are told of an error of the disk, which is logged."""
    log.error("the disk of jobs fails: %s", error)
    return ApiError(
        503,
        "The disk of jobs is full or gone: try again in 30 seconds.",
        code="disk_failed",
        headers={"retry-after": "30"},
    )


def _off() -> ApiError:
    return ApiError(
        403,
        "This service takes no jobs: set EARSHOT_JOBS_FOLDER to a folder that outlives it.",
        code="jobs_off",
    )


def _not_yet() -> ApiError:
    return ApiError(
        503,
        "The jobs are still being opened: try again in a few seconds.",
        code="not_ready",
        headers={"retry-after": "2"},
    )
