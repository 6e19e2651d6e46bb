"""Calls of an address at the end of a job: signed, tried again, and only where allowed."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from receivers import Receiver
from serving import assert_shape, metric, running

from asr.errors import BadOption
from service.jobs.calls import Calls
from service.jobs.disk import Disk
from service.jobs.records import Record
from service.jobs.webhooks import TRIES_S, Callbacks, CallFailed
from service.monitoring.metrics import Metrics
from service.settings import Settings

SECRET = "a secret of more than 24 characters"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver(500, 302, 200)
    yield receiver
    receiver.close()


def assert_signed(headers: dict[str, str], body: bytes) -> None:
    """As the specification of Standard Webhooks verifies it."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(SECRET.encode(), content, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 600


@pytest.mark.slow
def test_an_address_is_called_until_it_answers(
    settings: Settings,
    clip: Path,
    tmp_path: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.jobs.calls.TRIES_S", (0.01,) * 7)
    monkeypatch.setattr("service.jobs.calls._EVERY_S", 0.05)
    given = {"jobs_folder": tmp_path, "callback_hosts": "127.0.0.1", "callback_secret": SECRET}
    with running(Settings(**{**settings.model_dump(), **given})) as (_, http):
        files = {"file": ("talk.opus", clip.read_bytes())}
        refused = http.post(
            "/v1/jobs", files=files, data={"callback_url": "https://elsewhere.example/"}
        )
        assert refused.status_code == 422 and assert_shape(refused)["param"] == "callback_url"
        form = {"callback_url": receiver.url}
        job = http.post("/v1/jobs", files=files, data=form).json()
        while metric(http, "earshot_callbacks_total", outcome="answered") < 1:
            time.sleep(0.05)
        assert metric(http, "earshot_callbacks_total", outcome="failed") == 2
        assert len(receiver.calls) == 3
        for path, headers, body in receiver.calls:
            assert path == "/hook?job=1"  # and no redirect was followed
            assert_signed(headers, body)
            assert headers["webhook-id"] == job["id"]
            told = json.loads(body)
            assert told["type"] == "job.done"
            assert told["data"] == {
                "id": job["id"], "state": "done", "file": "talk.opus", "error": None,
            }  # fmt: skip
        broken = http.post("/v1/jobs", files={"file": b"no sound"}, data=form).json()
        while metric(http, "earshot_callbacks_total", outcome="answered") < 2:
            time.sleep(0.05)
        told = json.loads(receiver.calls[-1][2])
        assert told["type"] == "job.failed" and told["data"]["id"] == broken["id"]
        assert told["data"]["error"]["code"] == "unsupported_audio"


def test_no_private_address_is_called_that_is_not_listed(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "localhost")
    for listed in ("localhost", "localhost,10.0.0.0/8", "localhost,::2/127"):
        with pytest.raises(CallFailed, match=r"not public, and its address is not listed"):
            Callbacks.of(listed, SECRET).call(url, "job_1", 1.0, b"{}")
    assert not receiver.calls
    for listed in ("localhost, 127.0.0.0/8, ::1", "LOCALHOST,127.0.0.1,::/64"):
        with pytest.raises(CallFailed, match="answered"):
            Callbacks.of(listed, SECRET).call(url, "job_1", 1.0, b"{}")
    assert len(receiver.calls) == 2
    Callbacks.of("127.0.0.1", SECRET).call(receiver.url, "job_1", 1.0, b"{}")
    receiver.close()
    with pytest.raises(CallFailed, match="cannot be reached"):
        Callbacks.of("127.0.0.1", SECRET).call(receiver.url, "job_1", 1.0, b"{}")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://other.example/", "not listed"),
        ("https://hooks.example.evil.example/", "not listed"),
        ("https://10.0.0.1/", "not listed"),
        ("https://[::1]/", "not listed"),
        ("https://2130706433/", "not listed"),
        ("ftp://hooks.example/", "is no address"),
        ("https:///path", "is no address"),
        ("https://hooks.example:99999/", "is no address"),
        ("https://[::1/", "is no address"),
        ("https://user:word@hooks.example/", "has a user"),
        ("https://hooks.example/#part", "has a user or a fragment"),
        ("https://hooks.example/a b", "has characters"),
        ("https://hooks.example/\r\nx: y", "has characters"),
        ("https://hooks.example/\x7f", "has characters"),
        ("", "is no address"),
    ],
)
def test_an_address_that_is_never_called(url: str, said: str) -> None:
    refusal = Callbacks.of("hooks.example, 192.168.7.0/24", SECRET).refusal(url)
    assert refusal is not None and said in refusal


def test_an_address_that_may_be_called() -> None:
    callbacks = Callbacks.of("Hooks.Example, 192.168.7.0/24, fd00::/8", SECRET)
    for url in (
        "https://hooks.example/path?query=1", "http://HOOKS.example:8080", "http://192.168.7.9/",
        "https://[fd00::5]:8443/hook",
    ):  # fmt: skip
        assert callbacks.refusal(url) is None


def test_a_receiver_that_never_comes_to_an_end_holds_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.jobs.webhooks._MOST_S", 0.5)

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            for _ in range(600):  # one that did so for hours would hold its caller as long
                time.sleep(0.05)
                connection.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        began = time.monotonic()
        with pytest.raises(CallFailed, match="cannot be reached"):
            Callbacks.of("127.0.0.1", SECRET).call(url, "job_1", 1.0, b"{}")
        assert time.monotonic() - began < 25.0
        thread.join()


def test_a_call_that_was_counted_twice_is_given_up_too(receiver: Receiver) -> None:
    record = Record(
        "job_1", "", "", "talk", 1, {}, {}, 0.0, 1.0, "done", ended=1.0, callback=receiver.url,
        calls=len(TRIES_S) + 1,
    )  # fmt: skip
    calls = Calls(Disk(Settings()), Callbacks.of("127.0.0.1", SECRET), Metrics())
    assert asyncio.run(calls._outcome(record)) == ("given_up", None)


def test_calls_need_a_secret() -> None:
    with pytest.raises(BadOption, match="EARSHOT_CALLBACK_SECRET"):
        Settings.read(callback_hosts="hooks.example", callback_secret="short")
