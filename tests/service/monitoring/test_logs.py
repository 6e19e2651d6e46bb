"""Log lines: one per record, whatever clients send, each with the id of its request."""

import json
import logging
import logging.config
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import connected, read_all, served

from service.access.connections import RateLimitedWarning
from service.app import create_app
from service.monitoring.logs import JsonLines, PlainLines, configuration
from service.settings import Settings

OURS = {"log_config": None, "log_level": None}  # uvicorn leaves the configuration as it is
FORGED = "/x%0d%0aearshot:%20GET%20/y%20200%20in%200.001%20s%1b[2J%c2%9b31m%e2%80%a8z"


def record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, None)
    return logging.LogRecord("service", logging.INFO, "here.py", 1, "%s", (message,), info)


@given(st.text())
def test_a_record_is_one_printable_line(text: str) -> None:
    plain, json_line = PlainLines().format(record(text)), JsonLines().format(record(text))
    assert plain.isprintable() and plain.startswith("earshot: ")
    assert json_line.isprintable()
    assert json.loads(json_line)["message"] == text.strip()


def test_lines_of_a_traceback_are_set_apart() -> None:
    error = ValueError("first\nearshot: GET /y 200 in 0.001 s\x1b[2J")
    lines = PlainLines().format(record("it failed", error)).split("\n")
    assert lines[0] == "earshot: it failed" and len(lines) == 3
    assert all(line.isprintable() and line.startswith("earshot: | ") for line in lines[1:])


@contextmanager
def logged(format: str) -> Iterator[None]:
    """As the service logs; afterwards the tests' own way again."""
    logging.config.dictConfig(configuration(format))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in ("service", "uvicorn", "asyncio"):
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True


def test_every_line_of_a_request_says_whose_it_is_and_none_is_forged(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    behind = settings.model_copy(update={"trusted_proxies": "127.0.0.0/8"})
    with logged("plain"), served(create_app(behind), **OURS) as address:
        headers = {"x-request-id": "trace-7", "x-forwarded-for": "10.1.1.1, 203.0.113.9"}
        place = urlsplit(address)
        with connected(address) as connection:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            request = (
                f"GET {FORGED} HTTP/1.1\r\nhost: {place.netloc}\r\nconnection: close\r\n{lines}\r\n"
            )
            connection.sendall(request.encode())
            assert read_all(connection).startswith(b"HTTP/1.1 404")
        with connected(address) as connection:
            connection.sendall(b"no\x1bsense\r\n\r\n")
            read_all(connection)
    lines = capfd.readouterr().err.splitlines()
    assert all(line.startswith("earshot: ") and line.isprintable() for line in lines)
    ours = [line for line in lines if "trace-7" in line]
    assert len(ours) == 2 and all(line.endswith(" [trace-7 203.0.113.9]") for line in ours)
    assert ours[1].startswith("earshot: GET /x%0D%0Aearshot")
    (bad,) = [line for line in lines if "400" in line]
    assert bad.endswith(" 127.0.0.1]") and "[req_" in bad


def test_nobody_untrusted_says_who_the_client_is(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged("json"):
        headers = {"x-forwarded-for": "203.0.113.9", "x-request-id": "trace-8"}
        httpx.get(f"{address}/nothing", headers=headers)
        httpx.get(f"{address}/health/live")  # by then the line of the first is written
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    ours = [line for line in lines if line.get("request") == "trace-8"]
    assert len(ours) == 2 and {line["client"] for line in ours} == {"127.0.0.1"}


def test_a_line_that_would_come_too_often_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    line = RateLimitedWarning(clock=lambda: now[0])
    for _ in range(1000):
        line.warn("no room for %s", "you")
    now[0] = 60.0
    line.warn("no room for %s", "you")
    more = "no room for you (999 more since the last such line)"
    assert [one.getMessage() for one in caplog.records] == ["no room for you", more]
