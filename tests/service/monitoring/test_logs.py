"""Log lines: one per record, whatever clients send, each with the id of its request."""

import json
import logging
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import connected, logged, read_all, served

from service.access.connections import RateLimitedWarning
from service.app import create_app
from service.monitoring.logs import JsonLines, PlainLines
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
    lines = PlainLines().format(record("it failed", failed())).split("\n")
    assert lines[0] == "earshot: it failed"
    assert all(line.isprintable() and line.startswith("earshot: | ") for line in lines[1:])


def test_a_traceback_says_where_and_which_errors_and_not_what_they_quote() -> None:
    plain, json_line = (
        kind().format(record("it failed", failed())) for kind in (PlainLines, JsonLines)
    )
    for text in (plain, json_line):
        assert "Ann Lee" not in text and "in failed" in text
        assert text.index("KeyError") < text.index("OSError: No space left") < text.index("Group")
        assert text.rindex("which led to:") < text.rindex("RuntimeError")


def failed(quoted: str = "Ann Lee\nearshot: GET /y 200 in 0.001 s\x1b[2J") -> BaseException:
    """An error with others behind it, all of which quote somebody."""
    try:
        try:
            raise KeyError(quoted)
        except KeyError as error:
            full = OSError(28, quoted, quoted)
            full.__context__ = error
            raise ExceptionGroup(quoted, [full]) from None
    except ExceptionGroup as error:
        last = RuntimeError(quoted)
        last.__cause__, error.__context__ = error, last  # a circle
        return last


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
    assert len(ours) == 1 and ours[0].endswith(" [trace-7 203.0.113.9]")
    assert ours[0].startswith("earshot: GET /*/* 404 in ")
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
    (ours,) = [line for line in lines if line.get("request") == "trace-8"]
    assert (ours["client"], ours["path"], ours["code"]) == ("127.0.0.1", "/*", None)


def test_a_line_that_would_come_too_often_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    line = RateLimitedWarning(clock=lambda: now[0])
    for _ in range(1000):
        line.warn("no room for %s", "you")
    now[0] = 60.0
    line.warn("no room for %s", "you")
    more = "no room for you (999 more since the last such line)"
    assert [one.getMessage() for one in caplog.records] == ["no room for you", more]
