"""What wraps every request: a name for it, and a bound on its body."""

import asyncio
import contextlib
import re
import uuid

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ApiError, answer

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_DRAIN_S = 10.0


class RequestIds:
    """Gives every request an id (the client's own where it is sane) and every response that id.

    It also answers for errors that nobody expected: behind this, no client sees a traceback.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        claimed = Headers(scope=scope).get("x-request-id", "")
        request_id = claimed if _SANE_ID.fullmatch(claimed) else f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_named(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_named)
        except ClientDisconnect:
            return  # gone while uploading: nobody to answer
        except Exception as error:
            if started:
                raise  # too late for another status; the server cuts the connection
            response = await answer(Request(scope), error)
            await response(scope, receive, send_named)


class _Excess(Exception):
    """The body goes on beyond the limit."""


class BodyLimit:
    """Refuses a body over `max_bytes` with 413 while it comes in, claimed length or not.

    Starlette has a middleware of that name, but its 413 is plain text that passes by the app's
    error handlers where the request has a Content-Length.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise _Excess
            return message

        claimed = Headers(scope=scope).get("content-length", "")
        if claimed.isdecimal() and int(claimed) > self.max_bytes:
            return await self._refuse(f"is {int(claimed)} bytes", scope, receive, send)
        try:
            await self.app(scope, receive_counted, send)
        except _Excess:
            await self._refuse(f"is over {received - 1} bytes", scope, receive, send)

    async def _refuse(self, size: str, scope: Scope, receive: Receive, send: Send) -> None:
        message = (
            f"The upload {size}, the limit is {self.max_bytes} bytes: send a shorter or a "
            "compressed recording (mp3, m4a, ogg), or raise EARSHOT_MAX_UPLOAD_BYTES."
        )
        error = ApiError(413, message, param="file", code="upload_too_large")
        await refuse_unread(error, scope, receive, send)


async def refuse_unread(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose body has not been read, or not to its end."""
    response = await answer(Request(scope), error)

    async def send_then_drain(message: Message) -> None:
        # Closing on a client that still writes resets the connection, and the answer is lost
        # with it: so the answer goes out first and the rest of the upload is read and dropped.
        last = message["type"] == "http.response.body"
        await send({**message, "more_body": True} if last else message)
        if last:
            await _drain(receive)
            await send({"type": "http.response.body", "body": b""})

    await response(scope, receive, send_then_drain)


async def _drain(receive: Receive) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while (await receive()).get("more_body", False):
                pass
