"""Who may ask, and how much at a time; what other origins may; what is logged and traced."""

import json
import logging.config
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import openai
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import SecretStr
from serving import assert_shape, metric, served, wait_until_ready

from asr.errors import BadOption
from service.app import create_app
from service.keys import Keys, new_key, read_keys
from service.settings import Settings

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
    file.write_text(f"# ours\n\n{keys['bob'][1]}\n", encoding="utf-8")
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


def ask(address: str, key: str, clip: Path) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with clip.open("rb") as file:
        return httpx.post(f"{address}{PATH}", files={"file": file}, headers=headers, timeout=60)


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
        assert httpx.get(guarded + open_to_all).status_code == 200
    assert httpx.get(f"{guarded}/v1/models").status_code == 401


def test_a_key_has_its_rate_and_others_have_theirs(
    guarded: str, keys: dict[str, tuple[str, str]], clip: Path
) -> None:
    answers = [ask(guarded, keys["ann"][0], clip) for _ in range(7)]
    (refused, *_) = [answer for answer in answers if answer.status_code == 429]
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert assert_shape(refused)["code"] == "too_many_requests"
    assert ask(guarded, keys["bob"][0], clip).status_code == 200


def test_a_key_has_only_so_much_under_way(
    keys: dict[str, tuple[str, str]],
    settings: Settings,
    clip: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "service")
    limits = {"api_keys": SecretStr(keys["ann"][1]), "key_requests_at_once": 1}
    settings = settings.model_copy(update=limits)
    with served(create_app(settings)) as address:
        wait_until_ready(address)
        begun, slow = threading.Event(), threading.Event()

        def body() -> Iterator[bytes]:
            yield b"--b\r\n"
            begun.set()
            slow.wait(30)

        def upload() -> int:
            headers = {
                "authorization": f"Bearer {keys['ann'][0]}",
                "content-type": "multipart/form-data; boundary=b",
            }
            url = f"{address}{PATH}"
            return httpx.post(url, content=body(), headers=headers, timeout=60).status_code

        with ThreadPoolExecutor(1) as pool:
            under_way = pool.submit(upload)
            assert begun.wait(30)
            while (second := ask(address, keys["ann"][0], clip)).status_code != 429:
                assert not under_way.done()
            assert second.headers["retry-after"] == "1"
            slow.set()
            assert under_way.result() < 500
        assert ask(address, keys["ann"][0], clip).status_code == 200
        with httpx.Client(base_url=address) as http:
            assert metric(http, "earshot_requests_total", route=PATH, status="429") >= 1
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    assert {one["key"] for one in fields if one.get("status") == 429} == {"ann"}


def test_tokens_come_back_with_time_and_never_beyond_the_rate() -> None:
    now = [0.0]
    keys = Keys(_nothing, {"ann": "0" * 64}, per_minute=60, clock=lambda: now[0])
    assert _taken(keys, 100) == 60
    now[0] = 1.0
    assert _taken(keys, 10) == 1
    now[0] = 1e6
    assert _taken(keys, 100) == 60


def _taken(keys: Keys, wanted: int) -> int:
    taken = 0
    for _ in range(wanted):
        try:
            keys._taken("ann")
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
    settings: Settings, clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from service.logs import configuration

    logging.config.dictConfig(configuration("json"))
    try:
        with served(create_app(settings)) as address:
            wait_until_ready(address)
            text = ask(address, "", clip).json()["text"]
    finally:
        for name in ("service", "uvicorn"):  # as they were
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line.get("path") == PATH]
    assert line["status"] == 200 and line["method"] == "POST" and line["seconds"] > 0
    assert line["request"].startswith("req_")
    assert text and not any(text in str(line) for line in lines)
    assert not any(str(line.get("path", "")).startswith("/health") for line in lines)


def test_a_request_is_traced_with_its_stages(settings: Settings, clip: Path) -> None:
    received: list[ExportTraceServiceRequest] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    collector = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    try:
        endpoint = f"http://127.0.0.1:{collector.server_port}/v1/traces"
        settings = settings.model_copy(update={"trace_endpoint": endpoint})
        with served(create_app(settings)) as address:
            wait_until_ready(address)
            assert ask(address, "", clip).status_code == 200
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()
    spans = [
        span
        for request in received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    (whole,) = [span for span in spans if span.name == f"POST {PATH}"]
    stages = [span for span in spans if span.parent_span_id == whole.span_id]
    assert {"decode", "model"} <= {span.name for span in stages}
    assert all(span.trace_id == whole.trace_id for span in stages)
