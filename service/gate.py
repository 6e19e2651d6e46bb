"""Who need not send the body: an upload that there is no time or no memory for."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import ApiError
from service.middleware import refuse_unread

UPLOADS = ("/v1/audio/transcriptions", "/v1/transcribe")
"""Where recordings are sent to."""


class Gate:
    """Middleware that refuses an upload before it is read, by its length alone.

    Args:
        check: raises ApiError where an upload of so many bytes cannot be answered in time.
        most_bytes: of uploads that are held at a time.
        longest_bytes: what an upload that does not tell its length is taken for.
    """

    def __init__(
        self, app: ASGIApp, check: Callable[[int], None], most_bytes: int, longest_bytes: int
    ) -> None:
        self.app = app
        self._check = check
        self._most_bytes = most_bytes
        self._longest_bytes = longest_bytes
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in UPLOADS:
            return await self.app(scope, receive, send)
        told = Headers(scope=scope).get("content-length", "")
        size = int(told) if told.isdecimal() else None
        held = min(self._longest_bytes, self._longest_bytes if size is None else size)
        try:
            if self._held + held > self._most_bytes:
                raise _FULL
            self._check(size or 0)
        except ApiError as error:
            return await refuse_unread(error, scope, receive, send)
        self._held += held
        try:
            await self.app(scope, receive, send)
        finally:
            self._held -= held


_FULL = ApiError(
    503,
    "The memory for uploads is full: try again in 2 seconds.",
    code="memory_full",
    headers={"retry-after": "2"},
)
