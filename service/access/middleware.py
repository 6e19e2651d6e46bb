"""Middleware around every request: its path, its id, and limits on its body."""

import asyncio
import contextlib
import re
import time
import uuid
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ApiError, answer
from service.monitoring.logs import set_log_context

_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_DROP_S = 10.0


class RootPath:
    """Removes the path under which a proxy shows the service, if the proxy leaves it on.

    It runs before everything that looks at paths, so that none of those checks can be bypassed.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and scope["path"].startswith(f"{self._root_path}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self._root_path)}
        await self.app(scope, receive, send)


class RequestIds:
    """Gives every request an id (the client's own if it is valid), and every response that id.

    It also answers unexpected errors: no client sees a traceback.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        claimed = Headers(scope=scope).get("x-request-id", "")
        request_id = claimed if _VALID_ID.fullmatch(claimed) else f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id
        client = scope.get("client")
        set_log_context(request_id, client[0] if client else None)
        started = False

        async def send_named(message: Message) -> None:
            nonlocal started
            if message["type"].endswith(("http.response.start", "websocket.accept")):
                started = True
                message.setdefault("headers", [])
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_named)
        except ClientDisconnect:
            return  # it disconnected during the upload: there is nobody to answer
        except Exception as error:
            if started:
                raise  # too late for another status: the server closes the connection
            response = await answer(HTTPConnection(scope), error)
            await response(scope, receive, send_named)


class EarlyRefusal(Exception):
    """Ends a request whose body is not fully read; `error` is its answer."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(str(error))
        self.error = error


class BodyLimits:
    """Limits the size of a body and how slowly it may arrive, with or without Content-Length.

    A refusal is sent at once, and the rest of the body is dropped. Starlette has a limit on size,
    but its 413 is plain text that bypasses the app's error handlers if the request has a
    Content-Length.

    Args:
        max_bytes: largest body.
        job_path, max_job_bytes: a path, and the largest body of requests for it.
        timeout_s: seconds to wait for a body, plus one for each `least_bytes_per_second` that
            have arrived.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        job_path: str,
        max_job_bytes: int,
        timeout_s: float,
        least_bytes_per_second: int,
    ) -> None:
        self.app = app
        self._uploads = _Size(max_bytes, "EARSHOT_MAX_UPLOAD_BYTES")
        self._jobs = _Size(max_job_bytes, "EARSHOT_JOBS_MAX_UPLOAD_BYTES")
        self._job_path = job_path
        self.timeout_s = timeout_s
        self.least_bytes_per_second = least_bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        largest = self._jobs if scope["path"] == self._job_path else self._uploads
        body = _Body(self, largest, receive, send)
        headers = Headers(scope=scope)
        claimed = headers.get("content-length", "")
        try:
            if claimed and "transfer-encoding" in headers:
                raise EarlyRefusal(_two_lengths())
            if claimed.isdecimal() and int(claimed) > largest.bytes:
                raise EarlyRefusal(largest.exceeded(f"is {int(claimed)} bytes"))
            return await self.app(scope, body.receive, body.send)
        except EarlyRefusal as cut:
            error = cut.error
        # Out here, nothing holds the received part of the body any more.
        response = await answer(Request(scope), error)
        await response(scope, body.receive, body.send)

    def too_slow(self, came: int, seconds: float) -> ApiError:
        """The refusal of a body of which only `came` bytes arrived in `seconds`."""
        return ApiError(
            408,
            f"Of the body {came} bytes came in {seconds:.0f} s: send at least "
            f"{self.least_bytes_per_second} bytes a second.",
            code="too_slow",
            headers={"connection": "close"},
        )


def _two_lengths() -> ApiError:
    """The refusal of a body that a proxy before the service may have ended elsewhere."""
    return ApiError(
        400,
        "The request has both Content-Length and Transfer-Encoding: send one of them.",
        code="bad_http",
        headers={"connection": "close"},
    )


@dataclass(frozen=True)
class _Size:
    """The largest body, and the setting that says so."""

    bytes: int
    setting: str

    def exceeded(self, size: str) -> ApiError:
        """The refusal of an upload; `size` completes the sentence, as "is 5 bytes"."""
        message = (
            f"The upload {size}, the limit is {self.bytes} bytes: send a shorter or a compressed "
            f"recording (mp3, m4a, ogg), or raise {self.setting}."
        )
        return ApiError(413, message, param="file", code="upload_too_large")


class _Body:
    """The body of one request while it arrives, and its effect on the answer."""

    def __init__(self, limits: BodyLimits, largest: _Size, receive: Receive, send: Send) -> None:
        self._limits = limits
        self._largest = largest
        self._receive = receive
        self._send = send
        self._came = 0
        self._waited = 0.0
        self._status = 0
        self._drops = False
        self._whole = False

    async def receive(self) -> Message:
        """The next message; EarlyRefusal if the body is too large or too slow."""
        if self._whole:  # the next message is the end of the connection
            return await self._receive()
        limits = self._limits
        patience = limits.timeout_s + self._came / limits.least_bytes_per_second - self._waited
        started = time.monotonic()
        try:
            async with asyncio.timeout(patience):
                message = await self._receive()
        except TimeoutError as error:
            seconds = self._waited + time.monotonic() - started
            raise EarlyRefusal(limits.too_slow(self._came, seconds)) from error
        self._waited += time.monotonic() - started
        self._came += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._came > self._largest.bytes:
            raise EarlyRefusal(self._largest.exceeded(f"is over {self._came - 1} bytes"))
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on, and read the rest of a refused upload before the answer ends.

        Closing the connection while the client still writes would reset it, and the refusal would
        be lost. So the refusal is sent first, and the rest of the upload is read and dropped.
        """
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._drops = self._status >= 400 and self._status != 408
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not last or not self._drops or self._whole:
            return await self._send(message)
        await self._send({**message, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DROP_S):
                while (await self._receive()).get("more_body", False):
                    pass
        await self._send({"type": "http.response.body", "body": b""})
