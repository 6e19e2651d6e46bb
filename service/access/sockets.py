"""WebSockets: how one is refused so that its client learns why."""

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from service.errors import ApiError, answer, error_event

PROTOCOL = "realtime"
"""The subprotocol that OpenAI's clients offer from a browser."""
SOCKET_KEY = "openai-insecure-api-key."
"""Begins another one, which goes on with the API key."""
POLICY, TRY_LATER = 1008, 1013
"""Codes of a close (https://www.iana.org/assignments/websocket)."""


def subprotocol(scope: Scope) -> str | None:
    """The subprotocol that is accepted: clients that offer some want one of them."""
    return PROTOCOL if PROTOCOL in scope.get("subprotocols", ()) else None


async def refuse(scope: Scope, receive: Receive, send: Send, error: ApiError) -> None:
    """Answer a request with an error, before anything was sent.

    A script in a browser cannot see how a WebSocket's request was answered. So its WebSocket is
    opened, and the error is its only event.
    """
    response = await answer(HTTPConnection(scope), error)  # notes and logs it
    if scope["type"] == "http" or (protocol := subprotocol(scope)) is None:
        return await response(scope, receive, send)
    code = TRY_LATER if error.status in (429, 503) else POLICY
    await send({"type": "websocket.accept", "subprotocol": protocol})
    await send({"type": "websocket.send", "text": error_event(error).model_dump_json()})
    await send({"type": "websocket.close", "code": code, "reason": error.detail.code or ""})
