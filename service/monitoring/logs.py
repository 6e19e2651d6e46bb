"""Logs: the form of a line, and one line for every request.

No line holds what was said, or what a caller wrote in fields, names, headers, bodies or events: the
answer may quote that, the log says which kind of error it was. A path shows the parts that the
service itself has, a traceback where an error arose and not its message. What a caller may choose
is the request's id.

No text can start a new line or move a terminal's cursor: characters that cannot be printed are
escaped.
"""

import ipaddress
import json
import logging
import re
import time
from collections.abc import Collection
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPMethod
from typing import Any, Literal

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.monitoring.status import NotedSend
from service.monitoring.tracebacks import places

log = logging.getLogger(__name__)

_MOST_PARTS = 8  # of a path that a line shows
_JOB_ID = re.compile(r"job_[0-9a-f]{24}")
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
            # They quote forms and headers.
            "python_multipart": {"level": "CRITICAL"},
            "opentelemetry": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        },
    }


_context: ContextVar[dict[str, str | None]] = ContextVar("context")


def set_log_context(request: str, client: str | None) -> None:
    """Add these fields to every line that this task and the tasks it starts log from now on.

    Args:
        client: its address; what is none, as a proxy may pass it on, is left out.
    """
    _context.set({"request": request, "client": client if _is_address(client) else None})


def _is_address(text: str | None) -> bool:
    try:
        ipaddress.ip_address(text or "")
    except ValueError:
        return False
    return True


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


class _Lines(logging.Formatter):
    def formatException(self, ei: Any) -> str:
        return places(ei[1])


class PlainLines(_Lines):
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


class JsonLines(_Lines):
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
    """Middleware that logs a line for every request once its answer is sent.

    An error is named by the `code` and `param` that `service.errors.answer` has noted.

    Args:
        paths: those of all routes; a line shows only such parts of a request's path.
    """

    def __init__(self, app: ASGIApp, paths: Collection[str]) -> None:
        self.app = app
        self._known = {part for path in paths for part in path.split("/") if "{" not in part}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        started = time.monotonic()
        noted = NotedSend(send)
        try:
            await self.app(scope, receive, noted)
        finally:
            error = scope["state"].get("error")
            if error or not scope["path"].startswith(_QUIET):
                self._log(scope, noted.status, round(time.monotonic() - started, 4), error or {})

    def _log(self, scope: Scope, status: int, seconds: float, error: dict[str, str | None]) -> None:
        length = Headers(scope=scope).get("content-length", "")
        fields = {
            "key": scope["state"].get("key"),
            "method": _method(scope),
            "path": self._shown(scope),
            "status": status or None,  # None: the client disconnected before the answer
            **error,
            "seconds": seconds,
            "bytes": int(length) if length.isdecimal() else None,
        }
        said = [fields["method"], fields["path"], str(status or "unanswered")]
        said += [error["code"]] if error.get("code") else []
        said += [f"({error['param']})"] if error.get("param") else []
        log.info("%s in %.3f s", " ".join(said), seconds, extra={"fields": fields})

    def _shown(self, scope: Scope) -> str:
        """The path, with * for each part that is neither in a path of the service nor a job."""
        parts = scope["path"].split("/", _MOST_PARTS)
        shown = [part if part in self._known or _JOB_ID.fullmatch(part) else "*" for part in parts]
        return "/".join(shown)


def _method(scope: Scope) -> str:
    method = scope.get("method", "GET")  # of a WebSocket's request too
    return method if method in HTTPMethod.__members__ else "*"
