"""A client that sends nothing holds nothing: connections are limited, and slow ones are closed."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from serving import (
    MAX_UPLOAD_BYTES,
    SERVE,
    connected,
    metric,
    read_all,
    served,
    wait_until_ready,
)

from asr.errors import BadOption
from service.access.connections import ConnectionLimits
from service.app import create_app
from service.settings import Settings

pytestmark = pytest.mark.slow

URL = "/v1/transcribe"


@contextmanager
def running(settings: Settings, **changes: object) -> Iterator[str]:
    """A server of its own whose settings differ from the others'."""
    with served(create_app(settings.model_copy(update=changes))) as address:
        wait_until_ready(address)
        yield address


def head(length: int | None, path: str = URL) -> bytes:
    """A request whose body is so long, or chunked."""
    body = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    return f"POST {path} HTTP/1.1\r\nhost: x\r\n{body}\r\n\r\n".encode()


def error_in(answer: bytes) -> tuple[int, str]:
    """Status and code of an answer that is an error in OpenAI's shape."""
    top, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-request-id: " in top.lower()
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return int(top.split()[1]), error["code"]


def post(address: str, body: bytes) -> httpx.Response:
    """The answer to an upload, however busy the machine is."""
    return httpx.post(address + URL, content=body, timeout=600)


@pytest.fixture(scope="module")
def full(settings: Settings) -> Iterator[str]:
    """A server that has memory for two uploads; it must be empty for the first test below."""
    # On a busy machine too, an upload is there until its client goes.
    with running(settings, max_held_bytes=2 * MAX_UPLOAD_BYTES, body_timeout_s=3600) as address:
        yield address


def test_bytes_that_came_fill_the_memory_until_they_are_let_go(full: str, clip: Path) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(connected(full))
            connection.sendall(head(MAX_UPLOAD_BYTES) + bytes(MAX_UPLOAD_BYTES - 1))
        while not (answer := answer_to_announced(full, 9_000)):
            pass  # until all of that has come
        assert error_in(answer) == (503, "memory_full")
        with connected(full) as connection:  # one that does not say how much will come
            connection.sendall(head(None) + b"ffff\r\n" + bytes(0xFFFF) + b"\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 503")
    while (answer := post(full, clip.read_bytes())).status_code != 200:
        assert answer.json()["error"]["code"] == "memory_full"  # until the ends are seen


def answer_to_announced(address: str, length: int) -> bytes:
    """The answer to an upload of which nothing is sent, if there soon is one.

    One that sent something would itself take memory, and so might end another.
    """
    answer = b""
    with connected(address) as connection, contextlib.suppress(TimeoutError):
        connection.sendall(head(length))
        connection.settimeout(0.5)
        while not answer.endswith(b"}") and (part := connection.recv(65_536)):
            answer += part
    return answer


def test_bodies_that_are_only_announced_shut_nobody_out(full: str, clip: Path) -> None:
    with ExitStack() as stack:
        for length in [MAX_UPLOAD_BYTES, None] * 10:
            connection = stack.enter_context(connected(full))
            connection.sendall(head(length) + (b"3\r\nabc\r\n" if length is None else b"abc"))
        for _ in range(3):
            assert post(full, clip.read_bytes()).status_code == 200


@pytest.fixture(scope="module")
def impatient(settings: Settings) -> Iterator[str]:
    """A server that waits for nobody."""
    changes = {"head_timeout_s": 0.5, "body_timeout_s": 1.0, "least_bytes_per_second": 1_000}
    with running(settings, **changes) as address:
        yield address


@pytest.mark.parametrize("length", [1_000_000, None])
def test_a_body_that_comes_too_slowly_is_408(impatient: str, length: int | None) -> None:
    with connected(impatient) as connection:
        connection.sendall(head(length) + (b"3\r\nabc\r\n" if length is None else b"abc"))
        assert error_in(read_all(connection)) == (408, "too_slow")


def test_a_body_that_keeps_the_least_rate_may_take_its_time(impatient: str, clip: Path) -> None:
    body = clip.read_bytes()
    step = 2_000

    def slowly() -> Iterator[bytes]:
        for at in range(0, len(body), step):
            yield body[at : at + step]
            time.sleep(2 * step / len(body))

    began = time.monotonic()
    assert httpx.post(impatient + URL, content=slowly(), timeout=60).status_code == 200
    assert time.monotonic() - began > 1.0


def test_a_head_that_comes_too_slowly_is_408_and_no_head_is_cut(impatient: str) -> None:
    with connected(impatient) as silent, connected(impatient) as slow, connected(impatient) as late:
        late.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert late.recv(65_536).startswith(b"HTTP/1.1 200")
        for connection in (slow, late):  # also where it is not the first request
            connection.sendall(b"GET /health/live HTTP/1.1\r\nhos")
        assert error_in(read_all(slow)) == (408, "too_slow")
        assert b"HTTP/1.1 408" in read_all(late)
        assert read_all(silent) == b""


def test_a_body_that_nobody_waits_for_does_not_keep_a_connection(impatient: str) -> None:
    with connected(impatient) as connection:
        asked = b"GET /health/live HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
        connection.sendall(asked)
        answer = connection.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 200")
        with contextlib.suppress(ConnectionError):
            for _ in range(3_000):
                connection.sendall(b"x")
                time.sleep(0.01)
            pytest.fail("it is still connected")


def test_an_answer_that_is_not_read_is_cut(impatient: str) -> None:
    with connected(impatient) as connection, httpx.Client(base_url=impatient, timeout=600) as http:
        before = metric(http, "earshot_refusals_total", reason="unread")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(500 * b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        while metric(http, "earshot_refusals_total", reason="unread") == before:
            time.sleep(0.05)


def test_an_answer_that_is_read_slowly_comes_whole(impatient: str) -> None:
    asked = 200
    with connected(impatient) as connection:
        connection.sendall(asked * b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        came = b""
        while came.count(b"HTTP/1.1 200") < asked or not came.endswith(b"}"):
            part = connection.recv(400_000)
            assert part
            came += part
            time.sleep(0.02)


def test_what_is_no_http_is_400_in_the_same_shape(
    impatient: str, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert error_in(read_all(connection)) == (400, "bad_http")
    with connected(impatient) as connection:
        connection.sendall(head(None) + b"no size\r\n")
        assert error_in(read_all(connection)) == (400, "bad_http")
    with connected(impatient) as connection:  # it ends: a proxy may have read on elsewhere
        both = head(5).removesuffix(b"\r\n") + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        connection.sendall(both)
        assert error_in(read_all(connection)) == (400, "bad_http")
    with connected(impatient) as connection:
        long = f"GET / HTTP/1.1\r\nHost: x\r\nX: {'x' * 17_000}"
        connection.sendall(long.encode())
        assert b"its head has over 16 KiB" in read_all(connection)
    for fields in ("sec-websocket-version: 13", "sec-websocket-key: x\r\nsec-websocket-version: 8"):
        with connected(impatient) as connection:
            upgrade = "host: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            connection.sendall(f"GET /v1/realtime HTTP/1.1\r\n{upgrade}{fields}\r\n\r\n".encode())
            assert error_in(read_all(connection)) == (400, "bad_http")
    with connected(impatient) as connection:  # an answer that needs no body ends it
        connection.sendall(head(None, "/health/live").replace(b"POST", b"GET"))
        assert read_all(connection).startswith(b"HTTP/1.1 200")
    assert not [record for record in caplog.records if record.exc_info]


def test_connections_are_bounded_in_all_and_of_one_address(settings: Settings) -> None:
    changes = {
        "max_connections": 8,
        "max_connections_per_address": 4,
        "head_timeout_s": 600.0,
        "trusted_proxies": "127.0.0.9",
    }
    app = create_app(settings.model_copy(update=changes))
    with served(app) as address, ExitStack() as stack:  # no model is needed here

        def answered(source: str) -> bytes:
            with connected(address, source) as connection:
                connection.sendall(
                    b"GET /health/live HTTP/1.1\r\nconnection: close\r\nhost: x\r\n\r\n"
                )
                return read_all(connection)

        def hold(source: str, count: int) -> list[socket.socket]:
            return [stack.enter_context(connected(address, source)) for _ in range(count)]

        held = hold("127.0.0.1", 4)
        assert error_in(answered("127.0.0.1")) == (503, "too_many_connections")
        assert answered("127.0.0.2").startswith(b"HTTP/1.1 200")
        hold("127.0.0.9", 4)  # a proxy's address stands for many
        assert error_in(answered("127.0.0.2")) == (503, "too_many_connections")
        for connection in held:
            connection.close()
        while not (last := answered("127.0.0.1")).startswith(b"HTTP/1.1 200"):
            assert error_in(last)[0] == 503  # until the ends are seen
        with httpx.Client(base_url=address) as http:
            assert metric(http, "earshot_refusals_total", reason="too_many_connections") >= 2


@pytest.mark.parametrize("path", [URL, "/health/live"])
def test_small_chunks_freeze_nobody(address: str, path: str) -> None:
    """Each costs the server as much as a large one: a fast client sends 40,000 at a time."""
    with ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connected(address))
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                connection.send(head(None, path) + 200_000 * b"1\r\nx\r\n")
        began = time.process_time()  # also the server's, which is in this process
        assert httpx.get(f"{address}/health/live", timeout=600).status_code == 200
        assert time.process_time() - began < 10


def test_small_chunks_are_refused_and_those_of_a_live_recording_are_not(
    address: str, clip: Path
) -> None:
    with connected(address) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head(None) + 20_000 * b"1\r\nx\r\n")
        assert error_in(read_all(connection)) == (400, "small_chunks")
    body = clip.read_bytes()
    packets = (body[at : at + 40] for at in range(0, len(body), 40))
    assert httpx.post(address + URL, content=packets, timeout=60).status_code == 200


@pytest.mark.parametrize("descriptors", [64, 1024, 65_536])
def test_connections_leave_descriptors_for_the_rest(descriptors: int) -> None:
    codes: list[str] = []
    limits = ConnectionLimits(Settings(), descriptors, codes.append)
    of_one = 0
    while limits.enter("10.0.0.1") is None:
        of_one += 1
    others = 0
    while limits.enter(f"10.1.{others // 250}.{others % 250}") is None:
        others += 1
    assert of_one + others == min(4096, max(16, (descriptors - 256) // 2))
    assert of_one <= 1 + others / 3
    assert codes == ["too_many_connections"] * 2


@pytest.mark.parametrize("listed", ["proxy.example", "10.0.0.0/33", "10.0.0.1/8"])
def test_a_proxy_that_is_no_address_is_refused(listed: str) -> None:
    with pytest.raises(BadOption, match="trusted_proxies"):
        Settings.read(trusted_proxies=listed)


def test_without_descriptors_little_is_logged_and_it_goes_on(tiny_bundle: Path) -> None:
    command = [sys.executable, "-c", SERVE, str(tiny_bundle)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        ready = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert ready
        limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{process.pid}/fd"))
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used + 2, limits[1]))
        with ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(connected(ready[0]))
            time.sleep(3)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
        assert httpx.get(f"{ready[0]}/health/live", timeout=60).status_code == 200
        process.send_signal(signal.SIGTERM)
        lines = process.stderr.read().splitlines()
        assert [line for line in lines if "raise ulimit -n" in line]
        assert len(lines) < 10, lines
