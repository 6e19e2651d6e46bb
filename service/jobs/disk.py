"""The disk of jobs: one thread that asks the store, and the spool of recordings."""

import asyncio
import logging
import secrets
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from fastapi.concurrency import run_in_threadpool

from asr.errors import BadOption, how_to_add
from service.errors import ApiError
from service.jobs.database import ConnectionLost, Database, DatabaseFailed, Sqlite
from service.jobs.spool import LEFT_S, Spool
from service.jobs.store import Store
from service.jobs.uploads import Uploads, UploadsFailed
from service.settings import Settings

log = logging.getLogger(__name__)

DATABASE_FAILED = "database_failed"

_T = TypeVar("_T")


class Disk:
    """The store and the spool, from `open` until `close`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, "jobs")
        self._store: Store | None = None
        self._spool: Spool | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a store."""
        return self._store is not None

    @property
    def is_shared(self) -> bool:
        """Whether other replicas have the same jobs."""
        return self._store is not None and self._store.is_shared

    async def open(self) -> None:
        """Open the store and the spool, if the settings name a folder for jobs.

        Raises:
            BadOption: the folder or the store cannot be used.
        """
        folder = self._settings.jobs_folder
        if folder is None:
            return
        address, most = self._settings.jobs_uploads, self._settings.jobs_max_bytes
        uploads = None if address is None else await run_in_threadpool(Uploads, address)
        spool = await run_in_threadpool(Spool, folder / "spool", most, uploads)
        loop = asyncio.get_running_loop()
        self._store = await loop.run_in_executor(self._thread, _opened, self._settings)
        await self._sweep(self._store, spool)
        self._spool = spool  # nothing arrives before

    async def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            store, self._store = self._store, None
            await asyncio.get_running_loop().run_in_executor(self._thread, store.close)
        self._thread.shutdown()

    async def sweep(self) -> None:
        """Remove what was left of uploads and jobs by services that were killed.

        ApiError (503) if the disk or the database fails.
        """
        await guarded(self._sweep(self.store, self.spool))

    async def _sweep(self, store: Store, spool: Spool) -> None:
        ids = await self.ask(store.unended)
        # What a replica receives at this moment is of no job yet.
        await run_in_threadpool(spool.sweep, ids, LEFT_S if store.is_shared else 0.0)

    @property
    def store(self) -> Store:
        """The store; ApiError if there is none (403), or none yet (503)."""
        if self._store is None:
            raise _off() if self._settings.jobs_folder is None else _not_yet()
        return self._store

    @property
    def spool(self) -> Spool:
        """The recordings; errors are those of `store`."""
        if self._spool is None:
            raise _off() if self._settings.jobs_folder is None else _not_yet()
        return self._spool

    @property
    def held(self) -> int:
        """Bytes of all recordings."""
        return 0 if self._spool is None else self._spool.held

    async def ask(self, call: Callable[..., _T], *values: Any, **named: Any) -> _T:
        """What a method of the store gives; ApiError (503) if the database fails it."""
        asked = partial(_asked, partial(call, *values, **named))
        return await guarded(asyncio.get_running_loop().run_in_executor(self._thread, asked))


def _opened(settings: Settings) -> Store:
    """The store that the settings name."""
    replica = f"{socket.gethostname()}-{secrets.token_hex(6)}"
    database = _database(settings)
    try:
        return Store(database, replica, settings.jobs_lease_s)
    except DatabaseFailed as error:
        raise database.refusal(f"cannot be used ({error})") from error
    except BadOption:
        database.close()
        raise


def _database(settings: Settings) -> Database:
    if settings.jobs_url is None:
        assert settings.jobs_folder is not None
        return Sqlite(settings.jobs_folder / "jobs.sqlite")
    try:
        from service.jobs.postgres import Postgres
    except ImportError as error:
        raise BadOption(f"EARSHOT_JOBS_URL needs psycopg: {how_to_add('postgres')}.") from error
    return Postgres(settings.jobs_url.get_secret_value())


def _asked(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except ConnectionLost:  # since the database was restarted, for example
        return call()


async def guarded(work: Awaitable[_T]) -> _T:
    """What `work` gives; ApiError (503) if the disk, the database or the store of uploads fails."""
    try:
        return await work
    except DatabaseFailed as error:
        raise _database_failed(error) from error
    except UploadsFailed as error:
        raise _uploads_failed(error) from error
    except (sqlite3.Error, OSError) as error:
        raise disk_failed(error) from error


def _database_failed(error: Exception) -> ApiError:
    log.error("the database of jobs fails: %s", error)
    return ApiError(
        503,
        "The database of jobs cannot be reached: try again in 10 seconds.",
        code=DATABASE_FAILED,
        headers={"retry-after": "10"},
    )


def _uploads_failed(error: Exception) -> ApiError:
    log.error("the store of recordings fails: %s", error)
    return ApiError(
        503,
        "The store of recordings cannot be reached: try again in 10 seconds.",
        code="uploads_failed",
        headers={"retry-after": "10"},
    )


def disk_failed(error: Exception) -> ApiError:
    """What clients are told of an error of the disk, which is logged."""
    log.error("the disk of jobs fails: %s", error)
    return ApiError(
        503,
        "The disk of jobs is full or gone: try again in 30 seconds.",
        code="disk_failed",
        headers={"retry-after": "30"},
    )


def spool_full() -> ApiError:
    """What clients are told where recordings take as many bytes as they may."""
    return ApiError(
        503,
        "The disk space for jobs is full: try again in 60 seconds.",
        code="spool_full",
        headers={"retry-after": "60"},
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
