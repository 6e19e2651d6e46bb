"""Serving: one process, one model, until told to stop."""

import asyncio
import contextlib
import logging
import math
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from asr.errors import BadOption
from service.app import create_app
from service.logs import configuration
from service.settings import Settings

log = logging.getLogger(__name__)

_MORE_S = 2  # after the time to drain, for the answers that say so to go out
_FILES = 65_536


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; then requests under way have `drain_s` to end.

    A second signal ends it now.

    Raises:
        BadOption: the address cannot be listened on, or the device is not there.
        BadBundle: the bundle cannot be loaded.
    """
    _raise_the_limit_of_open_files()
    with _listen(settings.host, settings.port) as listener:
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            host=settings.host,
            log_config=configuration(settings.log_format),
            access_log=False,
            timeout_graceful_shutdown=math.ceil(settings.drain_s) + _MORE_S,
        )
        server = _Server(config, app, settings.drain_s)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            app.state.stop()  # a second signal passes the app's own end by
    if server.failure is not None:
        raise server.failure


class _Server(uvicorn.Server):
    """A server that says when the model is ready, and stops when it cannot be or is told to."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_s: float) -> None:
        super().__init__(config)
        self.app = app
        self.drain_s = drain_s
        self.failure: BaseException | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        port = sockets[0].getsockname()[1] if sockets else self.config.port
        self.app.state.loading.add_done_callback(lambda task: self._loaded(task, port))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping: requests under way have %g s", self.drain_s)
        loop = asyncio.get_running_loop()
        # What is left by then is told so; without this, uvicorn would cut its connection.
        loop.call_later(self.drain_s, self.app.state.shelf.give_up)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)

    def _loaded(self, loading: "asyncio.Task[None]", port: int) -> None:
        if loading.cancelled():
            return
        self.failure = loading.exception()
        if self.failure is not None:
            self.should_exit = True
            return
        transcriber = self.app.state.shelf.first
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        device = transcriber.recognizer.device
        log.info("ready on http://%s:%d (model %s, %s)", host, port, transcriber.model_id, device)


def _raise_the_limit_of_open_files() -> None:
    """Each request that waits holds its connection and its samples; 1,024 is a common limit."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise BadOption(
            f"Cannot listen on {host}:{port} ({error.strerror}): stop what listens there, or "
            "choose another --host or --port."
        ) from error
