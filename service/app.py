"""The FastAPI app: routes, error shape, limits, and the machine room's life."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from asr.audio import Limits
from asr.errors import BadOption
from service.decoding import Decoders
from service.errors import add_error_handlers
from service.gate import Gate
from service.keys import Keys, read_keys
from service.logs import AccessLog
from service.metrics import Measured, Metrics
from service.middleware import BodyLimit, RequestIds
from service.routes import admin, health, metrics, models, page, transcribe, transcriptions
from service.settings import Settings
from service.shelf import Shelf

_MOST_DECODERS = 16


def create_app(settings: Settings) -> FastAPI:
    """The service's app, which answers from the start: with 503 until its model is warm.

    `app.state.loading` is the task that gets it there, for whoever must know how that ended.
    """
    measured = Metrics()
    decoders = _decoders(settings, measured)
    shelf = Shelf(settings, decoders, measured)
    measured.queued_audio.set_function(lambda: sum(one.queued_seconds for one in shelf.all()))
    measured.queue.set_function(lambda: sum(one.backlog_s for one in shelf.all()))
    measured.real_time_factor.set_function(lambda: shelf.first.real_time_factor)

    async def start() -> None:
        await asyncio.gather(decoders.start(), shelf.start())

    def stop() -> None:
        shelf.stop()
        decoders.stop()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.loading = asyncio.create_task(start())
        watching = asyncio.create_task(measured.watch_loop())
        try:
            yield
        finally:
            watching.cancel()
            app.state.loading.cancel()
            stop()

    # FastAPI's pages at /docs and /redoc load scripts from elsewhere: nothing here does.
    app = FastAPI(
        title="earshot",
        version=version("earshot"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings, app.state.shelf, app.state.metrics = settings, shelf, measured
    app.state.decoders, app.state.stop = decoders, stop
    app.state.admins = read_keys(settings.admin_keys.get_secret_value(), None, "EARSHOT_ADMIN_KEYS")
    for room in (health, metrics, models, transcriptions, transcribe, admin, page):
        app.include_router(room.router)
    add_error_handlers(app)
    _add_middleware(app, settings)
    return app


def _decoders(settings: Settings, metrics: Metrics) -> Decoders:
    return Decoders(
        settings.decode_workers or min(_MOST_DECODERS, os.cpu_count() or 1),
        Limits(settings.max_seconds, settings.max_decoded_bytes),
        settings.decode_timeout_s,
        metrics.restarts.labels("decoder").inc,
    )


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """What a request passes on its way in, the innermost first."""
    shelf: Shelf = app.state.shelf
    app.add_middleware(
        Gate,
        check=shelf.check,
        most_bytes=settings.max_held_bytes,
        longest_bytes=settings.max_upload_bytes,
    )
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    app.add_middleware(
        Keys,
        digests=read_keys(settings.api_keys.get_secret_value(), settings.api_keys_file),
        per_minute=settings.key_requests_per_minute,
        at_once=settings.key_requests_at_once,
    )
    if origins := [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "server-timing", "retry-after"],
        )
    if settings.trace_endpoint:
        _add_traces(app, settings.trace_endpoint)
    app.add_middleware(AccessLog)
    app.add_middleware(RequestIds)
    app.add_middleware(Measured, metrics=app.state.metrics)


def _add_traces(app: FastAPI, endpoint: str) -> None:
    try:
        from service.traces import Traces
    except ImportError as error:
        raise BadOption(
            'EARSHOT_TRACE_ENDPOINT needs OpenTelemetry: pip install "earshot[trace]".'
        ) from error
    app.add_middleware(Traces, endpoint=endpoint)
