"""A real server on a free port, and OpenAI's own client for it."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import openai
import pytest
import uvicorn
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

MAX_UPLOAD_BYTES = 2_000_000
MAX_SECONDS = 40.0


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app's address, answering; it stops with the context."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def wait_until_ready(address: str) -> None:
    """Return once the server's model is warm."""
    while httpx.get(f"{address}/health/ready").status_code != 200:
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
    """What `/metrics` says of one series; 0 where it does not know it."""
    for family in text_string_to_metric_families(http.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return 0.0


@dataclass
class Client:
    """OpenAI's own client for a server, and the requests that it really sent."""

    address: str
    sent: list[httpx.Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        hooks = {"request": [self.sent.append]}
        self.http = httpx.Client(base_url=self.address, event_hooks=hooks, timeout=60)
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
