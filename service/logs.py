"""Logs: what a line looks like, and one line for every request. No line holds what was said."""

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

_QUIET = ("/health/", "/metrics")  # asked every few seconds by machines


def configuration(format: Literal["plain", "json"]) -> dict[str, Any]:
    """The logging of the service's process, for `logging.config.dictConfig`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"format": "earshot: %(message)s"},
            "json": {"()": JsonLines},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": format}},
        "loggers": {
            "service": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }


class JsonLines(logging.Formatter):
    """A record as one JSON object on a line, with what a call gave as `extra={"fields": …}`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class AccessLog:
    """Middleware that writes a line for every request, when its answer has gone out."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_QUIET):
            return await self.app(scope, receive, send)
        began = time.monotonic()
        status = 0

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        finally:
            seconds = round(time.monotonic() - began, 4)
            fields = {
                "request": scope["state"]["request_id"],
                "key": scope["state"].get("key"),
                "method": scope["method"],
                "path": scope["path"],
                "status": status or None,  # None: the client went before it was answered
                "seconds": seconds,
                "bytes": Headers(scope=scope).get("content-length"),
            }
            text = "%s %s %s in %.3f s"
            answered = status or "unanswered"
            log.info(
                text, scope["method"], scope["path"], answered, seconds, extra={"fields": fields}
            )
