"""Run the service until it is told to stop."""

import asyncio
import contextlib
import logging
import math
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from asr.errors import BadOption
from service.access.connections import BACKLOG, server_config
from service.app import create_app
from service.monitoring.logs import configuration
from service.settings import Settings

log = logging.getLogger(__name__)

_ANSWER_S = 2  # after the time to drain, to send the answers that say so
_FILES = 65_536


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; then requests under way have `drain_s` to finish.

    A second signal ends the service at once. SIGHUP reloads keys and models.

    Raises:
        BadOption: the address is not available, or the device is missing.
        BadBundle: the bundle cannot be loaded.
    """
    _raise_open_files_limit()
    with _sighup_ignored(), _listen(settings.host, settings.port) as listener:
        app = create_app(settings)
        config = server_config(
            app,
            settings,
            host=settings.host,
            log_config=configuration(settings.log_format),
        )
        if settings.open_to_strangers:
            log.warning(
                "whoever reaches %s may use this service, as no API keys are set: set "
                "EARSHOT_API_KEYS (`asr key NAME` makes one), or let only a proxy reach it that "
                "asks for keys",
                settings.host,
            )
        server = _Server(config, app, settings)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            app.state.stop()  # a second signal skips the app's own shutdown
    if server.failure is not None:
        raise server.failure


def try_out(settings: Settings) -> None:
    """Check settings without serving; errors are those of `run`.

    The port may be in use, because the service itself may be listening there.
    """
    _listen(settings.host, 0).close()
    create_app(settings).state.registry.try_out()


class _Server(uvicorn.Server):
    """A server that logs when the model is ready, and stops if it cannot be loaded."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, settings: Settings) -> None:
        super().__init__(config)
        self.app = app
        self.settings = settings
        self.failure: BaseException | None = None
        self.sighup = asyncio.Event()
        self.had_terminal = sys.stderr.isatty()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(
                BACKLOG
            )  # asyncio uses uvicorn's figure for how many it accepts at once
        port = sockets[0].getsockname()[1] if sockets else self.config.port
        self.app.state.loading.add_done_callback(lambda task: self._loaded(task, port))
        with contextlib.suppress(AttributeError, RuntimeError):  # as in `_sighup_ignored`
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_sighup)
        self.reloading = asyncio.create_task(self._reload())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.reloading.cancel()
        settings, registry = self.settings, self.app.state.registry
        drain_s = settings.drain_s + settings.drain_per_second * registry.longest_s
        if self.failure is None:
            log.info("stopping: requests under way have %d s", math.ceil(drain_s))
        await self.app.state.jobs.pause()
        # Answers what is left by then; otherwise uvicorn would just close the connections.
        asyncio.get_running_loop().call_later(drain_s, registry.give_up)
        self.config.timeout_graceful_shutdown = math.ceil(drain_s) + _ANSWER_S
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)

    def _on_sighup(self) -> None:
        # A terminal that closes sends the same signal, and the service ends with its terminal.
        if self.had_terminal and not sys.stderr.isatty():
            self.should_exit = True
        else:
            self.sighup.set()

    async def _reload(self) -> None:
        """Reload keys and models after each SIGHUP."""
        await asyncio.wait({self.app.state.loading})
        while True:
            await self.sighup.wait()
            self.sighup.clear()
            log.info("SIGHUP: keys and models are reloaded")
            try:
                await self.app.state.reload()
            except Exception:
                log.exception("reloading keys and models failed, and the old ones stay in use")

    def _loaded(self, loading: "asyncio.Task[None]", port: int) -> None:
        if loading.cancelled():
            return
        self.failure = loading.exception()
        if self.failure is not None:
            self.should_exit = True
            return
        transcriber = self.app.state.registry.first
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        device = transcriber.recognizer.device
        log.info("ready on http://%s:%d (model %s, %s)", host, port, transcriber.model_id, device)


@contextlib.contextmanager
def _sighup_ignored() -> Iterator[None]:
    """Ignore SIGHUP until the server handles it."""
    try:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    except (AttributeError, ValueError):  # a system without it, or not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _raise_open_files_limit() -> None:
    """Waiting requests need descriptors for connections and samples; 1,024 is a common limit."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise BadOption(
            f"Cannot listen on {host}:{port} ({error.strerror}): stop what listens there, or "
            "choose another --host or --port."
        ) from error
