"""API keys and their limits; requests from other origins; logs and traces of keys."""

import json
import logging.config
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import SecretStr
from serving import assert_shape, logged, metric, served, wait_until_ready

from asr.errors import BadOption
from service.access.keys import KeyCheck, new_key, read_keys
from service.app import create_app
from service.settings import Settings

pytestmark = pytest.mark.slow

PATH = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def keys() -> dict[str, tuple[str, str]]:
    """Name -> key and its line."""
    return {name: new_key(name) for name in ("ann", "bob")}


@pytest.fixture(scope="module")
def guarded(
    keys: dict[str, tuple[str, str]],
    tiny_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    file = tmp_path_factory.mktemp("keys") / "keys.txt"
    file.write_text(f"\ufeff# ours\n\n{keys['bob'][1]}\n", encoding="utf-8")  # as of Windows
    settings = Settings.read(
        bundle=tiny_bundle,
        device="cpu",
        api_keys=keys["ann"][1],
        api_keys_file=file,
        key_requests_per_minute=6,
        cors_origins="https://one.example, https://two.example",
    )
    with served(create_app(settings)) as address:
        wait_until_ready(address)
        yield address


class Collector:
    """Takes traces as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.received: list[ExportTraceServiceRequest] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                received.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def spans(self) -> list[Any]:
        """Every span that has come."""
        return [
            span
            for request in self.received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


@pytest.fixture(scope="module")
def behind(
    keys: dict[str, tuple[str, str]], settings: Settings, collector: Collector
) -> Iterator[str]:
    """A server behind a proxy's path, whose key may do one thing at a time, and that is watched."""
    changes = {
        "api_keys": SecretStr(keys["ann"][1]),
        "metrics_keys": SecretStr(keys["ann"][1]),
        "key_requests_at_once": 1,
        "root_path": "/speech",
        "trace_endpoint": f"http://127.0.0.1:{collector.server.server_port}/v1/traces",
    }
    with served(create_app(settings.model_copy(update=changes))) as address:
        wait_until_ready(address)
        yield address


def ask(address: str, key: str, clip: Path) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with clip.open("rb") as file:
        return httpx.post(f"{address}{PATH}", files={"file": file}, headers=headers, timeout=240)


def test_only_a_key_is_let_in(guarded: str, keys: dict[str, tuple[str, str]], clip: Path) -> None:
    assert ask(guarded, keys["ann"][0], clip).status_code == 200
    client = openai.OpenAI(base_url=f"{guarded}/v1", api_key=keys["bob"][0])
    assert client.audio.transcriptions.create(file=clip, model="whisper-1").text
    for wrong in ("", "nonsense", keys["ann"][1], keys["ann"][0][:-1]):
        refused = ask(guarded, wrong, clip)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert assert_shape(refused)["code"] == "invalid_api_key"
    for open_to_all in ("/health/live", "/health/ready"):
        assert httpx.get(guarded + open_to_all, timeout=120).status_code == 200
    assert httpx.get(f"{guarded}/v1/models", timeout=120).status_code == 401


def test_a_key_has_its_rate_and_others_have_theirs(
    guarded: str, keys: dict[str, tuple[str, str]], clip: Path
) -> None:
    answers = [ask(guarded, keys["ann"][0], clip) for _ in range(7)]
    (refused, *_) = [answer for answer in answers if answer.status_code == 429]
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert assert_shape(refused)["code"] == "too_many_requests"
    assert ask(guarded, keys["bob"][0], clip).status_code == 200


def test_a_key_has_only_so_much_under_way(
    behind: str,
    keys: dict[str, tuple[str, str]],
    clip: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "service")
    begun, slow = threading.Event(), threading.Event()
    headers = {"authorization": f"Bearer {keys['ann'][0]}"}

    def body() -> Iterator[bytes]:
        yield b"--b\r\n"
        begun.set()
        slow.wait(240)

    def upload() -> int:
        form = {**headers, "content-type": "multipart/form-data; boundary=b"}
        url = f"{behind}{PATH}"
        return httpx.post(url, content=body(), headers=form, timeout=240).status_code

    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(upload)
        assert begun.wait(120)
        while (second := ask(behind, keys["ann"][0], clip)).status_code != 429:
            assert not under_way.done()
        assert second.headers["retry-after"] == "1"
        slow.set()
        assert under_way.result() < 500
    assert ask(behind, keys["ann"][0], clip).status_code == 200
    with httpx.Client(base_url=behind, headers=headers, timeout=120) as http:
        assert metric(http, "earshot_requests_total", route=PATH, status="429") >= 1
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    assert {one["key"] for one in fields if one.get("status") == 429} == {"ann"}


def test_tokens_come_back_with_time_and_never_beyond_the_rate() -> None:
    now = [0.0]
    keys = KeyCheck(_nothing, {"ann": "0" * 64}, per_minute=60, clock=lambda: now[0])
    assert _taken(keys, 100) == 60
    now[0] = 1.0
    assert _taken(keys, 10) == 1
    now[0] = 1e6
    assert _taken(keys, 100) == 60


def _taken(keys: KeyCheck, wanted: int) -> int:
    taken = 0
    for _ in range(wanted):
        try:
            keys._take("ann")
        except Exception:
            break
        taken += 1
    return taken


async def _nothing(*_: object) -> None: ...


@pytest.mark.parametrize(
    "listed",
    ["ann", "ann:123", "ann:" + "g" * 64, f"ann:{'0' * 64},ann:{'1' * 64}", "a b:" + "0" * 64],
)
def test_a_wrong_key_line_is_refused_in_one_sentence(listed: str, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="EARSHOT_API_KEYS, entry"):
        read_keys(listed, None)
    with pytest.raises(BadOption, match="cannot be read"):
        read_keys("", tmp_path / "absent")


def test_metrics_may_need_a_key_of_their_own(
    behind: str, keys: dict[str, tuple[str, str]], address: str
) -> None:
    for key in ("", keys["bob"][0]):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        refused = httpx.get(f"{behind}/metrics", headers=headers)
        assert refused.status_code == 401
        assert assert_shape(refused)["code"] == "invalid_api_key"
    headers = {"authorization": f"Bearer {keys['ann'][0]}"}
    assert "earshot_" in httpx.get(f"{behind}/metrics", headers=headers).text
    assert httpx.get(f"{address}/metrics").status_code == 200


def test_a_path_before_the_service_opens_no_way_past_its_keys(
    behind: str, keys: dict[str, tuple[str, str]]
) -> None:
    headers = {"authorization": f"Bearer {keys['ann'][0]}"}
    for prefix in ("", "/speech"):  # whether or not the proxy takes it off
        url = f"{behind}{prefix}/v1/models"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers=headers).status_code == 200
        assert httpx.get(f"{behind}{prefix}/health/live").status_code == 200
    assert httpx.get(f"{behind}/speech/speech/v1/models").status_code == 404
    assert httpx.get(f"{behind}/speechless").status_code == 404
    schema = httpx.get(f"{behind}/speech/openapi.json").json()
    assert schema["servers"] == [{"url": "/speech"}]
    assert schema["paths"]["/v1/models"]["get"]["security"] == [{"key": []}]


def test_limits_without_keys_are_refused() -> None:
    with pytest.raises(BadOption, match="need keys"):
        Settings.read(key_requests_at_once=2)


def test_without_keys_any_authorization_is_ignored(address: str, clip: Path) -> None:
    assert ask(address, "whatever", clip).status_code == 200


def test_listed_origins_may_call_and_no_other(guarded: str) -> None:
    def preflight(origin: str) -> httpx.Response:
        headers = {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization",
        }
        return httpx.options(f"{guarded}{PATH}", headers=headers)

    allowed = preflight("https://two.example")
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://two.example"
    assert "access-control-allow-origin" not in preflight("https://evil.example").headers


def test_a_request_is_one_line_of_json_without_its_words(
    address: str, clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged("json"):
        text = ask(address, "", clip).json()["text"]
        httpx.get(f"{address}/health/live", timeout=120)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line.get("path") == PATH]
    assert line["status"] == 200 and line["method"] == "POST" and line["seconds"] > 0
    assert line["request"].startswith("req_")
    assert text and not any(text in str(line) for line in lines)
    assert not any(str(line.get("path", "")).startswith("/health") for line in lines)


def test_a_request_is_traced_with_its_stages(
    behind: str, keys: dict[str, tuple[str, str]], collector: Collector, clip: Path
) -> None:
    answer = ask(behind, keys["ann"][0], clip)
    assert answer.status_code == 200
    id = answer.headers["x-request-id"]

    def of_this_request(span: Any) -> bool:
        return any(value.value.string_value == id for value in span.attributes)

    while not (found := [span for span in collector.spans if of_this_request(span)]):
        time.sleep(0.1)  # they are sent every few seconds
    (whole,) = found
    assert whole.name == f"POST {PATH}"
    stages = [span for span in collector.spans if span.parent_span_id == whole.span_id]
    assert {"decode", "model"} <= {span.name for span in stages}
    assert all(span.trace_id == whole.trace_id for span in stages)
