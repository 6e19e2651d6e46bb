"""The FastAPI app: routes, errors, limits, and the start and stop of the engine."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from asr.audio import Limits
from asr.errors import AsrError, BadOption, how_to_add
from service.access.connections import log_loop_errors
from service.access.keys import KeyCheck, read_keys
from service.access.middleware import BodyLimits, RequestIds, RootPath
from service.access.upload_limits import UploadLimits
from service.access.usage import Usage
from service.api.openapi import extend_schema
from service.api.routes import JOB_PATH, LIVE_PATH, PATHS, ROUTERS, UPLOAD_PATHS
from service.engine.decode_pool import DECODER, DecodePool, DecodeTimeouts
from service.engine.device import DEVICE
from service.engine.registry import ModelRegistry
from service.errors import add_error_handlers
from service.jobs.jobs import Jobs
from service.live.sessions import Sessions
from service.monitoring.logs import AccessLog
from service.monitoring.metrics import Metrics, RequestMetrics
from service.settings import Settings

log = logging.getLogger(__name__)

_MOST_DECODERS = 16


def create_app(settings: Settings, device: str = DEVICE, decoder: str = DECODER) -> FastAPI:
    """The service's app. It answers from the start, with 503 until its model is warm.

    `app.state.loading` is the task that loads the models; it has the error if that fails.
    `app.state.reload` reloads keys and models while the service runs.

    Args:
        device: what the processes that hold the device run, as `module:function`.
        decoder: what the processes that decode uploads run.
    """
    metrics = Metrics()
    decoders = _decoders(settings, metrics, decoder)
    registry = ModelRegistry(settings, decoders, metrics, device)
    metrics.queued_audio.set_function(lambda: sum(model.queued_seconds for model in registry.all()))
    metrics.queue.set_function(lambda: sum(model.backlog_s for model in registry.all()))
    metrics.real_time_factor.set_function(lambda: registry.first.throughput)

    usage = Usage(settings.key_audio_seconds_per_day)
    jobs = Jobs(settings, registry, metrics, usage)

    async def start() -> None:
        await jobs.open()
        await asyncio.gather(decoders.start(), registry.start())
        jobs.begin()

    def stop() -> None:
        registry.stop()
        decoders.stop()

    async def reload() -> None:
        try:
            _reload_keys(app, settings)
        except AsrError as error:
            log.error("the old keys stay: %s", error)
        await registry.reload_all()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        log_loop_errors(asyncio.get_running_loop())
        app.state.loading = asyncio.create_task(start())
        watching = asyncio.create_task(metrics.watch_loop())
        unloading = asyncio.create_task(registry.unload_often())
        try:
            yield
        finally:
            watching.cancel()
            unloading.cancel()
            app.state.loading.cancel()
            await jobs.close()
            stop()

    # FastAPI's pages at /docs and /redoc load scripts from other servers; this service does not.
    app = FastAPI(
        title="earshot",
        version=version("earshot"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would follow the Host header
        servers=[{"url": settings.root_path}] if settings.root_path else None,
    )
    app.state.settings, app.state.registry, app.state.metrics = settings, registry, metrics
    app.state.decoders, app.state.stop, app.state.reload = decoders, stop, reload
    app.state.jobs, app.state.usage = jobs, usage
    app.state.live = Sessions(settings.live_sessions, lambda: registry.first.throughput, metrics)
    app.state.keys = _keys(settings)
    app.state.admins = read_keys(settings.admin_keys.get_secret_value(), None, "EARSHOT_ADMIN_KEYS")
    app.state.metrics_keys = read_keys(
        settings.metrics_keys.get_secret_value(), None, "EARSHOT_METRICS_KEYS"
    )
    for router in ROUTERS:
        app.include_router(router)
    extend_schema(
        app, with_keys=bool(settings.api_keys.get_secret_value() or settings.api_keys_file)
    )
    add_error_handlers(app)
    _add_middleware(app, settings)
    return app


def _decoders(settings: Settings, metrics: Metrics, target: str) -> DecodePool:
    return DecodePool(
        settings.decode_workers or min(_MOST_DECODERS, os.cpu_count() or 1),
        Limits(settings.max_seconds, settings.max_decoded_bytes),
        DecodeTimeouts(
            settings.decode_timeout_s, settings.decode_timeout_per_second, settings.hang_s
        ),
        lambda cause: metrics.restarts.labels("decoder", cause).inc(),
        target,
    )


def _keys(settings: Settings) -> dict[str, str]:
    return read_keys(settings.api_keys.get_secret_value(), settings.api_keys_file)


def _reload_keys(app: FastAPI, settings: Settings) -> None:
    new = _keys(settings)
    if app.state.keys and not new:
        raise BadOption(
            f"{settings.api_keys_file} has none, which would let everybody in: put one there, or "
            "start the service without keys."
        )
    app.state.keys.clear()
    app.state.keys.update(new)


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Add the middleware, the innermost first."""
    registry: ModelRegistry = app.state.registry
    app.add_middleware(
        UploadLimits, paths=UPLOAD_PATHS, check=registry.check, most_bytes=settings.max_held_bytes
    )
    app.add_middleware(
        KeyCheck,
        digests=app.state.keys,
        per_minute=settings.key_requests_per_minute,
        at_once=settings.key_requests_at_once,
        usage=app.state.usage,
        paths=(*UPLOAD_PATHS, JOB_PATH, LIVE_PATH),
    )
    app.add_middleware(
        BodyLimits,
        max_bytes=settings.max_upload_bytes,
        job_path=JOB_PATH,
        max_job_bytes=settings.jobs_max_upload_bytes,
        timeout_s=settings.body_timeout_s,
        least_bytes_per_second=settings.least_bytes_per_second,
    )
    if origins := [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=[
                "x-request-id",
                "server-timing",
                "retry-after",
                "location",
                "x-should-retry",
            ],
        )
    if settings.trace_endpoint:
        _add_traces(app, settings.trace_endpoint)
    app.add_middleware(RequestIds)
    # Outside, as it sees the answers to unexpected errors too.
    app.add_middleware(AccessLog, paths=["/openapi.json", *PATHS])
    app.add_middleware(
        RequestMetrics, metrics=app.state.metrics, early_routes=(*UPLOAD_PATHS, JOB_PATH, LIVE_PATH)
    )
    if settings.root_path:
        app.add_middleware(RootPath, root_path=settings.root_path)


def _add_traces(app: FastAPI, endpoint: str) -> None:
    try:
        from service.monitoring.traces import Traces
    except ImportError as error:
        raise BadOption(
            f"EARSHOT_TRACE_ENDPOINT needs OpenTelemetry: {how_to_add('trace')}."
        ) from error
    app.add_middleware(Traces, endpoint=endpoint)
