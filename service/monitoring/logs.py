"""Logs: the form of a line, and one line for every request. No line holds what was said.

Text from clients can neither start a new line nor move a terminal's cursor: characters that cannot
be printed are escaped.
"""

import json
import logging
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.monitoring.status import NotedSend

log = logging.getLogger(__name__)

_LONGEST_PATH = 500  # characters of a path that a line shows
_QUIET = ("/health/", "/metrics")  # polled every few seconds


def configuration(format: Literal["plain", "json"]) -> dict[str, Any]:
    """The logging of the service's process, for `logging.config.dictConfig`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"()": PlainLines},
            "json": {"()": JsonLines},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": format}},
        "loggers": {
            "service": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            # Its warnings are about single requests, and do not say which.
            "uvicorn": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
            "asyncio": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }


_context: ContextVar[dict[str, str | None]] = ContextVar("context")


def set_log_context(request: str, client: str | None) -> None:
    """Add these fields to every line that this task and the tasks it starts log from now on."""
    _context.set({"request": request, "client": client})


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields besides the message; a call can add some with `extra={"fields": …}`."""
    return {**_context.get({}), **getattr(record, "fields", {})}


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _code(char) for char in text)


def _code(char: str) -> str:
    """The character as an escape of JSON, so that it may be part of JSON."""
    code = json.dumps(char)[1:-1]
    return code if code != char else f"\\u{ord(char):04x}"


class PlainLines(logging.Formatter):
    """A record as one line, with its request and client at the end; tracebacks are set apart."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        names = [str(fields[name]) for name in ("request", "client") if fields.get(name)]
        origin = f" [{' '.join(names)}]" if names else ""
        lines = [f"earshot: {_escaped(record.getMessage().strip() + origin)}"]
        if record.exc_info:
            traceback = self.formatException(record.exc_info).split("\n")
            lines += [f"earshot: | {_escaped(line)}" for line in traceback]
        return "\n".join(lines)


class JsonLines(logging.Formatter):
    """A record as one JSON object on a line, with its fields beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().strip(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _escaped(json.dumps(line, ensure_ascii=False, default=str))


class AccessLog:
    """Middleware that logs a line for every request once its answer is sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"].startswith(_QUIET):
            return await self.app(scope, receive, send)
        started = time.monotonic()
        noted = NotedSend(send)
        try:
            await self.app(scope, receive, noted)
        finally:
            seconds = round(time.monotonic() - started, 4)
            method = scope.get("method", "GET")  # of a WebSocket's request too
            fields = {
                "key": scope["state"].get("key"),
                "method": method,
                "path": scope["path"],
                "status": noted.status or None,  # None: the client disconnected before the answer
                "seconds": seconds,
                "bytes": Headers(scope=scope).get("content-length"),
            }
            path = quote(scope["path"])[:_LONGEST_PATH]
            values = (method, path, noted.status or "unanswered", seconds)
            log.info("%s %s %s in %.3f s", *values, extra={"fields": fields})
