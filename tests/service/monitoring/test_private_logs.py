"""A real server's log holds nothing that callers sent or said, whatever becomes of a request."""

import base64
import contextlib
import json
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from serving import connected, ended, metric, read_all, service
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

pytestmark = pytest.mark.slow

SECRET = "Joezephine"
PHRASE = f"{SECRET} Smith 42"
LONG = SECRET * 30
UPLOAD = "/v1/audio/transcriptions"
SETTINGS = {
    "EARSHOT_MAX_UPLOAD_BYTES": "2000000",
    "EARSHOT_MAX_SECONDS": "40",
    "EARSHOT_TRUSTED_PROXIES": "127.0.0.1",
    "EARSHOT_CALLBACK_HOSTS": "127.0.0.1",
    "EARSHOT_CALLBACK_SECRET": "a secret of more than 24 characters",
    # However slow the machine is, nothing is refused for want of time.
    "EARSHOT_DEADLINE_S": "3600",
    "EARSHOT_DECODE_TIMEOUT_S": "3600",
    "EARSHOT_LIVE_SESSIONS": "64",
    "EARSHOT_ADMIN_KEYS": f"ann:{'0' * 64}",
}
HEADERS = dict.fromkeys(
    (
        "authorization", "user-agent", "referer", "cookie", "x-forwarded-for", "x-request-id",
        "traceparent", "baggage", "accept-language", "x-anything", SECRET,
    ),
    PHRASE,
)  # fmt: skip
"""Of every request; the id is not valid, so it is none."""
FORMS: dict[str, dict[str, str]] = {
    UPLOAD: {
        "model": PHRASE, "language": PHRASE, "response_format": PHRASE, "decoder": PHRASE,
        "timestamp_granularities[]": PHRASE, "include[]": PHRASE, "temperature": PHRASE,
        "beam_size": PHRASE, "hotwords": PHRASE, "keywords[]": LONG, "languages[]": PHRASE,
        "prompt": PHRASE, "track": PHRASE, "channels": PHRASE, "nbest": PHRASE, "stream": PHRASE,
        "speakers": f"left={PHRASE}", "known_speaker_names": PHRASE, "max_line_width": PHRASE,
        SECRET: PHRASE, "file": "",
    },
    "/v1/align": {"text": LONG, "model": PHRASE, "channels": PHRASE, SECRET: PHRASE, "file": ""},
    "/v1/jobs": {"callback_url": PHRASE, "hotwords": PHRASE, "speakers": PHRASE, SECRET: PHRASE},
}  # fmt: skip
EVENTS: list[Any] = [
    PHRASE,
    f'{{"type": "{SECRET}"',
    {"type": SECRET, "event_id": SECRET},
    {"type": "input_audio_buffer.append", "audio": SECRET, "event_id": SECRET},
    {"type": "input_audio_buffer.append", SECRET: SECRET},
    {"type": "input_audio_buffer.commit", "event_id": LONG * 9},
    *(
        {"type": "session.update", "session": {"type": "transcription", "audio": {"input": one}}}
        for one in (
            {SECRET: SECRET},
            {"transcription": {"model": SECRET}},
            {"transcription": {"hotwords": [PHRASE]}},
            {"transcription": {"keywords": [LONG]}},
            {"transcription": {"prompt": PHRASE, "language": SECRET}},
            {"turn_detection": {"type": SECRET}},
            {"format": {"type": "audio/pcm", "rate": SECRET}},
        )
    ),
]


OUTCOMES = {
    "200", "202", "400", "401 invalid_api_key", "404", "404 job_not_found", "404 model_not_found",
    "405", "413 audio_too_long", "413 upload_too_large", "415 unsupported_audio",
    "415 unsupported_encoding", "422 invalid_option", "422 invalid_value", "422 missing_field",
    "422 other_content", "422 repeated_field", "422 unknown_field", "422 unsupported_field",
    "426 upgrade_required",
}  # fmt: skip
"""What becomes of the requests."""


class Caller:
    """Somebody who writes a secret into whatever can be sent, and notes what comes of it."""

    def __init__(self, http: httpx.Client, clip: Path) -> None:
        self.http = http
        self.clip = clip.read_bytes()
        self.address = str(http.base_url)
        self.outcomes: set[str] = set()

    def ask(self, method: str, url: str, **sent: Any) -> httpx.Response:
        """Send a request."""
        given = {**HEADERS, **sent.pop("headers", {})}
        response = self.http.request(method, url, headers=given, **sent)
        is_error = response.status_code >= 400
        code = response.json()["error"]["code"] if is_error else None
        self.outcomes.add(f"{response.status_code} {code or ''}".strip())
        return response

    def send_forms(self) -> None:
        """Forms with a secret in each field, and in the names of files that are good or not."""
        for url, fields in FORMS.items():
            for name, value in fields.items():
                is_file = name != "file"
                file = (f"{PHRASE}.wav", self.clip) if is_file else (None, PHRASE.encode())
                data = {"text": PHRASE, name: value} if url == "/v1/align" else {name: value}
                self.ask("POST", url, files={"file": file}, data=data)
        for url in (UPLOAD, "/v1/align"):
            for body in (b"", SECRET.encode(), self.clip[:400], self.clip * 60):
                file = {"file": (f"{PHRASE}\n{SECRET}.wav", body)}
                self.ask("POST", url, files=file, data={"text": PHRASE})
            file = {"file": ("x", self.clip)}
            self.ask("POST", f"{url}?{SECRET}={SECRET}", files=file)
            self.ask("POST", url, json={"text": PHRASE})
            self.ask("POST", url, files=file, data={"model": [SECRET, SECRET]})
            part = ("x", self.clip, SECRET, {"Content-Transfer-Encoding": SECRET})
            self.ask("POST", url, files={"file": part}, data={"text": PHRASE})
            broken = {"file": ("x", self.clip), SECRET: (None, f"{PHRASE} café".encode("latin-1"))}
            self.ask("POST", url, files=broken)
            for kind in ("multipart/form-data", f"multipart/form-data; boundary={SECRET}", SECRET):
                for body in (PHRASE, f"--{SECRET}\r\n{PHRASE}\r\n\r\n", f"--{SECRET}\r\nContent-X"):
                    self.ask("POST", url, content=body, headers={"content-type": kind})
        speech = {"file": (f"{SECRET}.wav", self.clip)}
        for options in ({}, {"stream": "true"}, {"decoder": "beam", "prompt": "Joe, Zephine"}):
            assert self.ask("POST", UPLOAD, files=speech, data=options).status_code == 200
        self.ask("POST", UPLOAD, files={"file": (SECRET, b"x")}, data={"stream": "true"})

    def send_bodies(self) -> None:
        """The same in queries and headers of plain bodies."""
        for url in ("/v1/transcribe", "/v1/vad"):
            for name in ("model", "hotwords", "speakers", "channels", "track", "format", SECRET):
                self.ask("POST", url, params={name: f"{PHRASE}={LONG}"}, content=self.clip)
            for body in (b"", SECRET.encode(), self.clip[:400], self.clip * 60, b"x" * 2_000_001):
                self.ask("POST", url, content=body)
            for name in ("content-encoding", "content-type"):
                self.ask("POST", url, content=self.clip, headers={name: SECRET})
        self.text = self.ask("POST", "/v1/transcribe", content=self.clip).json()["text"]

    def go_astray(self) -> None:
        """Paths and methods with secrets."""
        for path in (
            "", "/v1", "/v1/models", "/v1/jobs", "/v1/jobs/job_1/result", "/v1/jobs/1/events",
            "/health", "/health/ready", "/admin/models", "/metrics",
        ):  # fmt: skip
            for method in ("GET", SECRET):
                self.ask(method, f"{path}/{quote(PHRASE)}?{SECRET}={SECRET}")
        self.ask("POST", f"/admin/models/{SECRET}/reload")
        self.ask("GET", "/v1/realtime", params={"model": SECRET})
        for raw in (
            f"{SECRET}\r\n\r\n",
            f"GET /{SECRET} HTTP/{SECRET}\r\n\r\n",
            f"GET /v1/models HTTP/1.1\r\nhost: x\r\n{SECRET}: {PHRASE}\x1b\r\n\r\n",
            f"GET /v1/models HTTP/1.1\r\nhost: {SECRET}\r\nupgrade: {SECRET}\r\n"
            f"connection: upgrade, close\r\nsec-websocket-key: {SECRET}\r\n\r\n",
            f"GET /v1/realtime?x={SECRET} HTTP/1.1\r\nhost: {SECRET}\r\nupgrade: websocket\r\n"
            f"connection: upgrade, {SECRET}\r\nsec-websocket-key: {SECRET}\r\n"
            f"sec-websocket-version: {SECRET}\r\n\r\n",
        ):
            with connected(self.address) as connection:
                connection.sendall(raw.encode())
                connection.shutdown(socket.SHUT_WR)
                read_all(connection)

    def speak_live(self) -> None:
        """Events with secrets, and sessions that are refused."""
        with self._session(f"/v1/realtime?intent={SECRET}") as session:
            for event in EVENTS:
                session.send(event if isinstance(event, str) else json.dumps(event))
                while json.loads(session.recv())["type"] not in ("error", "session.updated"):
                    pass
            session.send(SECRET.encode())
            audio = base64.b64encode(b"\0\0" * 24_000).decode()
            session.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            with contextlib.suppress(TimeoutError):
                session.recv(1)
        with self._session("/v1/realtime") as session:
            session.recv()
            session.send(b"\xff" + SECRET.encode(), text=True)
            with pytest.raises(ConnectionClosed):
                session.recv()
        for path in (f"/v1/realtime?model={SECRET}", f"/v1/{SECRET}", f"/v1/realtime/{SECRET}"):
            for offers in (None, ["realtime", f"openai-insecure-api-key.{SECRET}"]):
                with contextlib.suppress(InvalidStatus), self._session(path, offers) as session:
                    assert json.loads(session.recv())["type"] == "error"
        with pytest.raises(InvalidStatus), self._session("/v1/realtime", origin=f"http://{SECRET}"):
            pass

    def _session(self, path: str, offers: Any = None, **options: Any) -> ClientConnection:
        address = self.address.replace("http", "ws", 1)
        return connect(
            f"{address}{path}",
            additional_headers=HEADERS,
            subprotocols=offers,
            open_timeout=None,
            **options,
        )

    def post_jobs(self) -> None:
        """Jobs that are done, that fail, and whose addresses cannot be called."""
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        url = f"http://127.0.0.1:{port}/{SECRET}?token={SECRET}"
        ids = []
        for key, body in ((SECRET, self.clip), (f"{SECRET}2", SECRET.encode())):
            file = {"file": (f"{PHRASE}.wav", body)}
            form = {"callback_url": url, "prompt": PHRASE}
            job = self.ask(
                "POST", "/v1/jobs", files=file, data=form, headers={"idempotency-key": key}
            )
            ids.append(job.json()["id"])
        self.ask(
            "POST", "/v1/jobs", files={"file": (SECRET, b"x")}, headers={"idempotency-key": SECRET}
        )
        self.ask("POST", "/v1/jobs", files=file, data={"callback_url": f"{url}\x7f"})
        self.ask("POST", "/v1/jobs", files=file, headers={"idempotency-key": LONG})
        while len(ended(self.http, ids)) < len(ids):
            time.sleep(0.1)
        for id in ids:
            self.ask("GET", f"/v1/jobs/{id}/result")
            self.ask("GET", f"/v1/jobs/{id}/result", params={"speakers": SECRET, SECRET: SECRET})
            self.ask("GET", f"/v1/jobs/{id}/events", headers={"last-event-id": SECRET})
        while metric(self.http, "earshot_callbacks_total", outcome="failed") < len(ids):
            time.sleep(0.1)
        for id in ids:
            self.ask("DELETE", f"/v1/jobs/{id}")


def test_no_line_holds_what_callers_send_or_say(
    tiny_bundle: Path, clip: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with service(tiny_bundle, tmp_path / "jobs", log, **SETTINGS) as (_, http):
        caller = Caller(http, clip)
        caller.send_forms()
        caller.send_bodies()
        caller.go_astray()
        caller.speak_live()
        caller.post_jobs()
        http.get("/v1/usage", headers={"x-request-id": "the-last"})
        while "the-last" not in (lines := log.read_text("utf-8", "replace")):
            time.sleep(0.05)
    assert SECRET.lower() not in lines.lower()
    assert caller.text and caller.text not in lines
    assert caller.outcomes >= OUTCOMES
    for said in (
        "POST /v1/align 422 invalid_value (text) in ",
        "POST /v1/align 400 not_utf8 in ",
        "POST /v1/jobs 422 invalid_option (hotwords) in ",
        "POST /v1/transcribe 415 unsupported_audio (file) in ",
        "POST /v1/audio/transcriptions 422 unknown_field in ",
        "GET /v1/realtime 403 origin_refused (origin) in ",
        "GET /v1/models/* 404 model_not_found (model) in ",
        "127.0.0.1 cannot be reached (Connection refused)",
        "is failed (415 unsupported_audio)",
    ):
        assert said in lines
