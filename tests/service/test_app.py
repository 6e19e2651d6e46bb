"""The service's life: ready when warm, alive while it works, and faults that stay inside."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Client, assert_shape, served, wait_until_ready

from asr.audio import Audio, AudioSource, Limits, load
from asr.runtime import Recognizer
from asr.transcript import Transcript
from service.app import create_app
from service.settings import Settings


class Gated:
    """A real recogniser that does its work when the test opens the gate."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer = recognizer
        self.bundle, self.device = recognizer.bundle, recognizer.device
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)

    def transcribe(self, source: AudioSource | Audio, **options: Any) -> Transcript:
        self.entered.release()
        if not self.gate.wait(30):
            raise TimeoutError("the test did not open the gate")
        return self.recognizer.transcribe(source, **options)


@pytest.fixture
def gated(recognizer: Recognizer) -> Gated:
    return Gated(recognizer)


@pytest.fixture
def gated_address(gated: Gated) -> Iterator[str]:
    with served(create_app(Settings(), gated)) as address:  # type: ignore[arg-type]
        yield address
        gated.gate.set()


def test_not_ready_before_warm_and_alive_all_the_while(gated: Gated, gated_address: str) -> None:
    assert gated.entered.acquire(timeout=30)  # warming
    assert httpx.get(f"{gated_address}/health/live").json() == {"status": "live"}
    for path in ("/health/ready", "/v1/models"):
        response = httpx.get(gated_address + path)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "2"
        assert assert_shape(response)["code"] == "not_ready"
    gated.gate.set()
    wait_until_ready(gated_address)
    name = gated.bundle.info["name"]
    assert httpx.get(f"{gated_address}/health/ready").json() == {
        "status": "ready",
        "model": name,
        "device": "cpu",
    }


def test_the_loop_answers_while_the_model_runs(
    gated: Gated, gated_address: str, clip: Path
) -> None:
    gated.gate.set()
    wait_until_ready(gated_address)
    assert gated.entered.acquire(timeout=30)
    gated.gate.clear()
    client = Client(gated_address)

    def transcribe() -> str:
        return client.openai.audio.transcriptions.create(file=clip, model="whisper-1").text

    with client.http, ThreadPoolExecutor(3) as pool:
        texts = [pool.submit(transcribe) for _ in range(3)]
        assert gated.entered.acquire(timeout=30)  # the model is at work on the first
        assert httpx.get(f"{gated_address}/health/live").status_code == 200
        assert not any(text.done() for text in texts)
        gated.gate.set()
        expected = gated.recognizer.transcribe(clip).text
        assert [text.result() for text in texts] == [expected] * 3


def test_the_loop_answers_while_recordings_are_decoded(
    address: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, entered = threading.Event(), threading.Event()

    def gated_load(source: AudioSource, limits: Limits, name: str) -> Audio:
        entered.set()
        assert gate.wait(30)
        return load(source, limits, name)

    monkeypatch.setattr("service.transcriber.load", gated_load)
    client = Client(address)
    with client.http, ThreadPoolExecutor(1) as pool:
        create = client.openai.audio.transcriptions.create
        answer = pool.submit(lambda: create(file=clip, model="whisper-1"))
        assert entered.wait(30)
        assert httpx.get(f"{address}/health/live").status_code == 200
        assert not answer.done()
        gate.set()
        assert answer.result().text


def test_a_fault_of_ours_is_500_without_its_traceback(
    recognizer: Recognizer, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(Settings(), recognizer)

    @app.get("/fault")
    async def fault() -> None:
        raise RuntimeError("secret detail")

    with served(app) as address:
        response = httpx.get(f"{address}/fault", headers={"x-request-id": "trace-7"})
        assert response.status_code == 500
        assert "secret" not in response.text
        assert "trace-7" in (assert_shape(response)["message"] or "")
        assert httpx.get(f"{address}/health/live").status_code == 200
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "trace-7" in record.getMessage() and record.exc_info
