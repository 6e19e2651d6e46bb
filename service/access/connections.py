"""Limits on connections: how many there may be, and how slow one may be before it is closed.

uvicorn waits for ever for a request's head, and for a client that does not read its answer. The
connections closed here have no request yet, or no answer that could still be sent. For bodies,
where an answer is possible, `service.access.middleware` does the same.
"""

import asyncio
import contextlib
import functools
import ipaddress
import json
import logging
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from asr.counting import counted
from service.errors import ApiError, ErrorBody
from service.settings import Settings

log = logging.getLogger(__name__)

MOST_MESSAGE = 2**20
"""Bytes of a message on a WebSocket: 16 s of sound."""
BACKLOG = 2048
"""Connections that the system queues until they are accepted."""
_ACCEPTED_AT_ONCE = 64  # before the first of them can be refused
_OTHER_DESCRIPTORS = 256  # for processes, bundles, logs, and connections accepted at once
_SILENT_S = 10.0
_TURN = 16 * 1024  # bytes to read from one connection before it is another's turn
_SPARE_FRAMING = 16 * 1024
_MOST_HEAD = 16 * 1024  # bytes of a request before its body


class RateLimitedWarning:
    """A warning that is logged at most every ten seconds, with the number of those left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = -_SILENT_S
        self._omitted = 0

    def warn(self, message: str, *values: object) -> None:
        """Log it, or count it if another was logged in the last ten seconds."""
        now = self._clock()
        if now < self._last + _SILENT_S:
            self._omitted += 1
            return
        more = f" ({self._omitted} more since the last such line)" if self._omitted else ""
        log.warning(message + "%s", *values, more)
        self._last, self._omitted = now, 0


class ConnectionLimits:
    """Counts the connections of one server, in total and by address, and refuses too many.

    Args:
        descriptors: open files that this process may have. Fewer connections are accepted than the
            settings allow if they would leave too few descriptors for everything else.
        on_refusal: called with the code of every refusal.
    """

    def __init__(
        self, settings: Settings, descriptors: float, on_refusal: Callable[[str], None]
    ) -> None:
        self.settings = settings
        self.on_refusal = on_refusal
        # A waiting request holds a descriptor of its samples besides its connection.
        spare = max(16, (descriptors - _OTHER_DESCRIPTORS) // 2)
        self._most = int(min(settings.max_connections, spare))
        share = settings.max_connections_per_address / settings.max_connections
        self._most_per_address = max(1, int(self._most * min(1.0, share)))
        self._proxies = settings.proxies()
        self._open: Counter[str] = Counter()
        self._warning = RateLimitedWarning()

    def enter(self, address: str) -> ApiError | None:
        """Count a connection, or return why it is refused."""
        if self._open.total() >= self._most:
            reason = f"This service has {counted(self._most, 'connection')}, its limit"
        elif self._open[address] >= self._most_per_address and not self._is_proxy(address):
            reason = f"Your address has {counted(self._most_per_address, 'connection')}, its limit"
        else:
            self._open[address] += 1
            return None
        self.on_refusal("too_many_connections")
        self._warning.warn("refused a connection of %s: %s", address, reason)
        return ApiError(
            503,
            f"{reason}: try again in 2 seconds.",
            code="too_many_connections",
            headers={"retry-after": "2"},
        )

    def leave(self, address: str) -> None:
        """Count the end of a connection that was accepted."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address.partition("/")[0])
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)


class _Counted(asyncio.Protocol):
    """A connection that is counted, and closed while its client does not read what it is sent."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def __init__(self, *, limits: ConnectionLimits, **uvicorn_arguments: Any) -> None:
        super().__init__(**uvicorn_arguments)
        self._limits = limits
        self._counted: str | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._counted is not None:
            self._limits.leave(self._counted)
            self._counted = None
        self._stop_unread_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._check_reading_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread_timer()

    def _check_reading_later(self) -> None:
        seconds = self._limits.settings.body_timeout_s
        left = _unread_bytes(self.transport)
        self._unread = self.loop.call_later(seconds, self._check_reading, left, seconds)

    def _check_reading(self, before: int, seconds: float) -> None:
        read = before - _unread_bytes(self.transport)
        if read < self._limits.settings.least_bytes_per_second * seconds:
            self._limits.on_refusal("unread")
            return self.transport.abort()
        self._check_reading_later()

    def _stop_unread_timer(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class Socket(_Counted, WebSocketsSansIOProtocol):
    """uvicorn's WebSocket; its app ends it when the server stops."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._stopping = asyncio.Event()

    def take(self, address: str | None) -> None:
        """Count it in place of the connection from which it was made."""
        self._counted = address

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # else the request was no good one, and is answered
            self.scope["state"]["stopping"] = self._stopping

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # else uvicorn reports a refusal as a fault

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()  # what is left to send would wait for a client that is gone

    def shutdown(self) -> None:
        if self.handshake_complete and not self.close_sent:
            return self._stopping.set()
        super().shutdown()


class Connection(_Counted, H11Protocol):
    """uvicorn's connection, refused if there are too many and closed if it is too slow.

    One timer runs while a request's head arrives, and while a body arrives whose request is already
    answered. Another one runs while the client does not read its answer.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._arrival: asyncio.TimerHandle | None = None
        self._payload = self._framing = 0  # bytes of the current body, and of its chunks' headers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.transport.set_write_buffer_limits(high=0)  # to be told of any unread answer
        with contextlib.suppress(AttributeError):  # uvloop has a bound of its own
            self.transport.max_size = _TURN  # type: ignore[attr-defined]
        address = _network_holder(self.client[0]) if self.client else ""
        if (refusal := self._limits.enter(address)) is not None:
            self.transport.write(_response(refusal, _request_id()))
            return self.transport.close()
        self._counted = address
        self._set_arrival_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_arrival_timer()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        headers = dict(event.headers)
        if not headers.get(b"sec-websocket-key") or headers.get(b"sec-websocket-version") != b"13":
            message = (
                "The WebSocket cannot be opened: send Sec-WebSocket-Key, and 13 as "
                "Sec-WebSocket-Version."
            )
            return self._end(ApiError(400, message, code="bad_http"))
        self._stop_arrival_timer()
        self._stop_unread_timer()
        address, self._counted = self._counted, None
        super().handle_websocket_upgrade(event)
        cast(Socket, self.transport.get_protocol()).take(address)

    def data_received(self, data: bytes) -> None:
        cycle, held = self.cycle, len(self.cycle.body) if self.cycle else 0
        super().data_received(data)
        if cycle is None or cycle is not self.cycle or self.conn.their_state is not h11.SEND_BODY:
            self._payload = self._framing = 0
        else:
            payload = len(cycle.body) - held
            self._payload += payload
            self._framing += len(data) - payload
            if self._framing > _SPARE_FRAMING + self._payload // 4:
                message = "The body comes in too many small chunks: send more bytes in each."
                return self._end(ApiError(400, message, code="small_chunks"))
        self._set_arrival_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and self._is_chunked():
            self.transport.close()  # skipping chunks costs too much
        elif self.conn.their_state is not h11.IDLE:  # else uvicorn's timer for idle ones runs
            self._set_arrival_timer()

    def _is_chunked(self) -> bool:
        return any(name == b"transfer-encoding" for name, _ in self.headers)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's sentence
        message = (
            "The request cannot be read: it is not HTTP/1.1, or its head has over "
            f"{_MOST_HEAD // 1024} KiB."
        )
        self._end(ApiError(400, message, code="bad_http"))

    def _set_arrival_timer(self) -> None:
        """Start the timer, or stop it if a request is under way."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_arrival_timer()
        elif self._arrival is None and self._counted is not None:
            seconds = self._limits.settings.head_timeout_s
            self._arrival = self.loop.call_later(seconds, self._too_slow)

    def _stop_arrival_timer(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _too_slow(self) -> None:
        self._arrival = None
        if self.conn.their_state is not h11.IDLE or not self.conn.trailing_data[0]:
            return self.transport.abort()  # there was no request, or it has been answered
        seconds = self._limits.settings.head_timeout_s
        message = f"The request's head did not come within {seconds:g} s: send it faster."
        self._end(ApiError(408, message, code="too_slow"))

    def _end(self, error: ApiError) -> None:
        """Send the error if no answer has started, and close the connection."""
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            return self.transport.abort()
        request = _request_id()
        fields = {
            "request": request,
            "client": self.client[0] if self.client else None,
            "status": error.status,
            "code": error.detail.code,
        }
        log.info("%d %s", error.status, error.detail.code, extra={"fields": fields})
        self._limits.on_refusal(error.detail.code or "")
        self.transport.write(_response(error, request))
        self.transport.close()


def _unread_bytes(transport: asyncio.Transport) -> int:
    """Bytes on their way to the client, with those in the system's buffer, which takes more only
    after a good part has been read."""
    held = 0
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl
        import termios

        answer = fcntl.ioctl(
            transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4)
        )
        held = int.from_bytes(answer, sys.byteorder)
    return transport.get_write_buffer_size() + held


def _network_holder(address: str) -> str:
    """The holder of an address: with IPv6, one client has a whole network of 2**64 addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))


def _request_id() -> str:
    return f"req_{uuid.uuid4().hex}"


def _response(error: ApiError, request: str) -> bytes:
    """An error in the form of `service.errors`, for a connection without a request."""
    body = json.dumps(ErrorBody(error=error.detail).model_dump()).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": request,
        **(error.headers or {}),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    phrase = STATUS_PHRASES[error.status].decode()
    return f"HTTP/1.1 {error.status} {phrase}\r\n{lines}\r\n".encode() + body


def server_config(app: FastAPI, settings: Settings, **uvicorn_arguments: Any) -> uvicorn.Config:
    """uvicorn's configuration for the app."""
    metrics = app.state.metrics
    limits = ConnectionLimits(
        settings, _descriptors(), lambda code: metrics.refusals.labels(code).inc()
    )
    return uvicorn.Config(
        app,
        http=cast(type[asyncio.Protocol], functools.partial(Connection, limits=limits)),
        ws=cast(type[asyncio.Protocol], functools.partial(Socket, limits=limits)),
        ws_max_size=MOST_MESSAGE,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=_MOST_HEAD,
        access_log=False,
        forwarded_allow_ips=settings.trusted_proxies.strip(),
        backlog=_ACCEPTED_AT_ONCE,
        **uvicorn_arguments,
    )


def _descriptors() -> float:
    try:
        import resource
    except ImportError:  # where there is no such limit
        return float("inf")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft


def log_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Log what asyncio reports, without the values that it quotes.

    Of a process without free descriptors it reports each attempt: few of these are logged.
    """
    warning = RateLimitedWarning()

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        said, error = str(context["message"]), context.get("exception")
        if said.startswith("socket.accept() out of system resource"):
            warning.warn("a connection cannot be accepted (%s): raise ulimit -n", error)
        else:  # arguments of a callback stand in brackets
            log.error("asyncio: %s", said.partition("(")[0], exc_info=error)

    loop.set_exception_handler(handle)
