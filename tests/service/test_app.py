"""The life of the service: ready when warm, alive while it works; its faults stay internal."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from serving import assert_shape, frozen, logged, served, wait_until_ready

from asr.runtime import Recognizer
from service.app import create_app
from service.settings import Settings

URL = "/v1/transcribe"


@pytest.fixture(scope="module")
def app(settings: Settings) -> FastAPI:
    """A service with a fault."""
    app = create_app(settings)

    @app.get("/fault")
    async def fault() -> None:
        raise RuntimeError("secret detail")

    return app


@pytest.fixture(scope="module")
def server(app: FastAPI) -> Iterator[str]:
    with served(app) as address:
        yield address


@pytest.mark.slow
def test_not_ready_before_warm_and_alive_all_the_while(
    app: FastAPI, server: str, recognizer: Recognizer
) -> None:
    with frozen(app.state.registry.first.pid):  # it loads
        assert httpx.get(f"{server}/health/live", timeout=120).json() == {"status": "live"}
        responses = [
            httpx.get(server + path, timeout=120) for path in ("/health/ready", "/v1/models")
        ]
        responses.append(httpx.post(server + URL, content=b"x", timeout=120))
        for response in responses:
            assert response.status_code == 503
            assert response.headers["retry-after"] == "2"
            assert assert_shape(response)["code"] == "not_ready"
    wait_until_ready(server)
    name = recognizer.bundle.info.name
    assert httpx.get(f"{server}/health/ready", timeout=120).json() == {
        "status": "ready",
        "model": name,
        "device": "cpu",
        "models": [{"id": name, "status": "ready", "device": "cpu"}],
        "decoders": 2,
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["decoders", "device"])
def test_the_loop_answers_while_others_work(
    app: FastAPI, server: str, recognizer: Recognizer, clip: Path, kind: str
) -> None:
    wait_until_ready(server)
    pids = app.state.decoders.pids if kind == "decoders" else {app.state.registry.first.pid}
    body = clip.read_bytes()
    expected = recognizer.transcribe(clip).text
    with ThreadPoolExecutor(3) as pool:
        with frozen(*pids):
            answers = [pool.submit(httpx.post, server + URL, content=body) for _ in range(3)]
            time.sleep(0.2)
            assert httpx.get(f"{server}/health/live", timeout=120).status_code == 200
            assert not any(answer.done() for answer in answers)
        assert [answer.result().json()["text"] for answer in answers] == [expected] * 3


def test_a_fault_of_ours_is_500_and_only_the_log_says_where(
    server: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged("json"):
        response = httpx.get(f"{server}/fault", headers={"x-request-id": "trace-7"}, timeout=120)
        # By then the line of the first is written.
        assert httpx.get(f"{server}/health/live", timeout=120).status_code == 200
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "trace-7" in (assert_shape(response)["message"] or "")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    fault, request = [line for line in lines if line.get("request") == "trace-7"]
    assert fault["level"] == "error" and "in fault" in fault["traceback"]
    assert fault["traceback"].endswith("\nRuntimeError")
    assert (request["status"], request["code"]) == (500, "internal_error")
