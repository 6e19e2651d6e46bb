"""Upload limits: an upload that there is no time or memory for is refused before it is read."""

from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.middleware import EarlyRefusal
from service.errors import ApiError


class UploadLimits:
    """Middleware that refuses an upload before it is read, or when memory runs out meanwhile.

    Only bytes that have arrived count: announcing a large upload takes nothing from others.

    Args:
        paths: paths of the routes that take uploads.
        check: raises ApiError if an upload of so many bytes cannot be answered in time.
        most_bytes: bytes of uploads that may be held at a time.
    """

    def __init__(
        self,
        app: ASGIApp,
        paths: Collection[str],
        check: Callable[[int], None],
        most_bytes: int,
    ) -> None:
        self.app = app
        self._paths = paths
        self._check = check
        self._most_bytes = most_bytes
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = (
            scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self._paths
        )
        if not is_upload:
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        size = int(length) if length.isdecimal() else 0
        try:
            refuse_encoded(headers)
            if self._held + size > self._most_bytes:
                raise _full()
            self._check(size)
        except ApiError as error:
            raise EarlyRefusal(error) from error
        held = 0

        async def receive_held() -> Message:
            nonlocal held
            message = await receive()
            size = len(message.get("body", b""))
            if self._held + size > self._most_bytes:
                raise EarlyRefusal(_full())
            self._held += size
            held += size
            return message

        try:
            await self.app(scope, receive_held, send)
        finally:
            self._held -= held


def refuse_encoded(headers: Headers) -> None:
    """Raise ApiError for a body that is compressed on its way."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise ApiError(
            415,
            f"The body is encoded as {coding[:100]!r}: send it as it is, without Content-Encoding.",
            param="content-encoding",
            code="unsupported_encoding",
            headers={"accept-encoding": "identity"},
        )


def _full() -> ApiError:
    return ApiError(
        503,
        "The memory for uploads is full: try again in 2 seconds.",
        code="memory_full",
        headers={"retry-after": "2"},
    )
