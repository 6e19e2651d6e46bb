"""A real server on a free port, and OpenAI's own client for it."""

import contextlib
import io
import logging
import logging.config
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import openai
import pytest
import soundfile
import uvicorn
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from asr.audio import load
from service.access.connections import server_config
from service.app import create_app
from service.engine.transcriber import Transcriber
from service.monitoring.logs import configuration
from service.settings import Settings

SERVE = """
import sys
from pathlib import Path
from service.run import run
from service.settings import Settings
run(Settings.read(port=0, device="cpu", bundle=Path(sys.argv[1])))
"""
"""A program that serves the bundle it is given."""
READY = re.compile(r"ready on (\S+)")
MAX_UPLOAD_BYTES = 2_000_000
MAX_SECONDS = 40.0


@contextlib.contextmanager
def served(app: FastAPI, **uvicorns: Any) -> Iterator[str]:
    """The app's address, answering as the service does; it stops with the context."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings = getattr(app.state, "settings", None)
    config = (
        uvicorn.Config(app, log_level="warning", access_log=False)
        if settings is None
        else server_config(app, settings, **{"log_level": "warning", **uvicorns})
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def logged(format: str) -> Iterator[None]:
    """As the service logs; afterwards the tests' own way again."""
    configured = configuration(format)  # type: ignore[arg-type]
    logging.config.dictConfig(configured)
    try:
        yield
    finally:
        for name in configured["loggers"]:
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True


@contextlib.contextmanager
def service(
    bundle: Path, jobs: Path, log_to: Path | None = None, **settings: str
) -> Iterator[tuple[Any, httpx.Client]]:
    """A process that serves, and a client for it; it is killed at the end."""
    given = {"EARSHOT_JOBS_FOLDER": str(jobs), "EARSHOT_DECODE_WORKERS": "1", **settings}
    given |= {"EARSHOT_HANG_S": "600"}
    command = [sys.executable, "-c", SERVE, str(bundle)]
    # Into a file: a pipe that nobody reads is full after some hundred requests.
    with TemporaryFile("w+") if log_to is None else log_to.open("w+") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, **given})
        try:
            while not (address := READY.search(said(log))):
                assert process.poll() is None, said(log)
                time.sleep(0.05)
            with httpx.Client(base_url=address[1], timeout=120) as http:
                yield process, http
        finally:
            process.kill()
            process.wait()


def said(log: IO[str]) -> str:
    """What the service has written so far."""
    return os.pread(log.fileno(), 1 << 20, 0).decode()


def ended(http: httpx.Client, ids: list[str]) -> list[dict[str, Any]]:
    """Those of the jobs that have ended."""
    jobs = [http.get(f"/v1/jobs/{id}").json() for id in ids]
    assert all(job["state"] in ("waiting", "running", "done", "failed") for job in jobs), jobs
    return [job for job in jobs if job["state"] in ("done", "failed")]


def connected(address: str, source: str = "127.0.0.1") -> socket.socket:
    """A connection of that address, which waits long enough for any answer."""
    place = urlsplit(address)
    return socket.create_connection((place.hostname, place.port), 60, (source, 0))


def read_all(connection: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def wait_until_ready(address: str) -> None:
    """Return once the server's models are warm."""
    with httpx.Client(timeout=60) as http:
        while http.get(f"{address}/health/ready").status_code != 200:
            time.sleep(0.1)  # asked more often, it would take their time to load


@contextlib.contextmanager
def running(settings: Settings, **workers: str) -> Iterator[tuple[FastAPI, httpx.Client]]:
    """A server of its own, ready, and a client for it; `workers` are those of `create_app`."""
    app = create_app(settings, **workers)
    with served(app) as address, httpx.Client(base_url=address, timeout=120) as http:
        wait_until_ready(address)
        yield app, http


def wav(samples: np.ndarray) -> bytes:
    """A recording of these samples."""
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV", subtype="FLOAT")
    return file.getvalue()


def speech(clip: Path, samples: int, start: int = 0) -> np.ndarray:
    """So many samples of a real clip."""
    return np.resize(load(clip).samples[start:], samples)


def ask_all(
    pool: ThreadPoolExecutor, http: httpx.Client, bodies: list[bytes]
) -> list["Future[httpx.Response]"]:
    """Requests for the plain endpoint, all at a time."""
    return [pool.submit(http.post, "/v1/transcribe", content=body) for body in bodies]


def wait_for_device(model: Transcriber, count: int) -> None:
    """Return once so many recordings are decoded and wait for the device, or are on it."""
    while len(model._scheduler._tasks) != count:
        time.sleep(0.02)


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """The processes stand still."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def metric(http: httpx.Client, name: str, **labels: str) -> float:
    """What `/metrics` says of the series with these labels, in all."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(http.get("/metrics").text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@dataclass
class Client:
    """OpenAI's own client for a server, and the requests that it really sent."""

    address: str
    sent: list[httpx.Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        hooks = {"request": [self.sent.append]}
        self.http = httpx.Client(base_url=self.address, event_hooks=hooks, timeout=120)
        self.openai = openai.OpenAI(
            base_url=f"{self.address}/v1", api_key="none", http_client=self.http
        )

    def refusal(self, **fields: object) -> openai.APIStatusError:
        """The error that a transcription with these fields ends in, after one request."""
        self.sent.clear()
        with pytest.raises(openai.APIStatusError) as caught:
            self.openai.audio.transcriptions.create(**fields)  # type: ignore[call-overload]
        assert len(self.sent) == 1, "the client tried again"
        assert_shape(caught.value.response)
        return caught.value


def assert_shape(response: httpx.Response) -> dict[str, str | None]:
    """The response's error, once its shape is seen to be OpenAI's."""
    error: dict[str, str | None] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert response.headers["x-request-id"]
    return error
