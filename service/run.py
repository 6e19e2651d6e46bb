"""Serving: one process, one model, until told to stop."""

import asyncio
import contextlib
import logging
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI

from asr.errors import BadOption
from service.app import create_app
from service.settings import Settings

log = logging.getLogger(__name__)

_GRACE_S = 30
_LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "earshot: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "service": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way have half a minute to end.

    Raises:
        BadOption: the address cannot be listened on, or the device is not there.
        BadBundle: the bundle cannot be loaded.
    """
    with _listen(settings.host, settings.port) as listener:
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            host=settings.host,
            log_config=_LOGGING,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = _Server(config, app)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    if server.failure is not None:
        raise server.failure


class _Server(uvicorn.Server):
    """A server that says when the model is ready, and stops when it cannot be."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.app = app
        self.failure: BaseException | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        port = sockets[0].getsockname()[1] if sockets else self.config.port
        self.app.state.loading.add_done_callback(lambda task: self._loaded(task, port))

    def _loaded(self, loading: "asyncio.Task[None]", port: int) -> None:
        if loading.cancelled():
            return
        self.failure = loading.exception()
        if self.failure is not None:
            self.should_exit = True
            return
        transcriber = self.app.state.transcriber
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        device = transcriber.recognizer.device
        log.info("ready on http://%s:%d (model %s, %s)", host, port, transcriber.model_id, device)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise BadOption(
            f"Cannot listen on {host}:{port} ({error.strerror}): stop what listens there, or "
            "choose another --host or --port."
        ) from error
