"""API keys: who may send requests, and how many.

A key is 32 random bytes, so its plain SHA-256 is safe to store. The key itself is shown once, by
`asr key NAME`, and never stored. If no key is configured, every Authorization header is accepted
and ignored, because OpenAI's clients always send one.
"""

import hashlib
import hmac
import math
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from asr.counting import counted
from asr.errors import BadOption
from service.access.sockets import SOCKET_KEY, refuse
from service.access.usage import Usage
from service.errors import ApiError

_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,64})[:\s]\s*(?P<digest>[0-9a-f]{64})")
_PROTECTED = "/v1/"


def new_key(name: str) -> tuple[str, str]:
    """A new key, and its line for the service's settings."""
    key = f"es-{secrets.token_urlsafe(32)}"
    return key, f"{name}:{_digest(key)}"


def read_keys(listed: str, file: Path | None, variable: str = "EARSHOT_API_KEYS") -> dict[str, str]:
    """Name -> SHA-256 of each key, from a comma-separated list (the value of `variable`) and from
    the lines of a file.

    Raises:
        BadOption: the file cannot be read, a line is not `NAME:SHA256`, or a name occurs twice.
    """
    keys: dict[str, str] = {}
    for where, line in [*_lines(variable, listed.split(",")), *_file_lines(file)]:
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadOption(
                f"{where} is not NAME:SHA256 (64 hexadecimal digits): let `asr key NAME` write it."
            )
        if match["name"] in keys:
            raise BadOption(f"{where} names {match['name']!r} again: give each key its own name.")
        keys[match["name"]] = match["digest"]
    return keys


def _file_lines(file: Path | None) -> list[tuple[str, str]]:
    if file is None:
        return []
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
        raise BadOption(f"the file of API keys {file} cannot be read ({why}).") from error
    return _lines(str(file), lines)


def _lines(name: str, lines: Iterable[str]) -> list[tuple[str, str]]:
    """The place of each line, and the line; empty lines and comments are left out."""
    return [
        (f"{name}, entry {number},", line.strip())
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass
class _Usage:
    """Requests under way with one key, and how many it has left (a token bucket)."""

    left: float
    filled: float
    under_way: int = 0


class KeyCheck:
    """Middleware that asks for a key and keeps each key within its limits.

    The body of a refused request is never kept.

    Args:
        digests: name -> SHA-256 of each key; may change while the service runs. Without any, no
            key is asked for.
        per_minute: requests that a key may make in a minute, on average and in one burst; 0 for
            no limit.
        at_once: requests that a key may have under way; 0 for no limit.
        usage: the audio of keys, which has a limit too.
        paths: paths of the routes that take recordings.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        digests: Mapping[str, str],
        per_minute: int = 0,
        at_once: int = 0,
        usage: Usage | None = None,
        paths: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self._digests = digests
        self._per_minute = per_minute
        self._at_once = at_once
        self._usage_today = usage
        self._paths = paths
        self._clock = clock
        self._usage: dict[str, _Usage] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        protected = scope["type"] != "lifespan" and scope["path"].startswith(_PROTECTED)
        if not protected or not self._digests:
            return await self.app(scope, receive, send)
        try:
            name = key_name(self._digests, _authorization(scope))
            scope["state"]["key"] = name  # so that the log names the key of refused requests too
            use = self._take(name)
            if self._usage_today is not None and scope["path"] in self._paths:
                self._usage_today.check(name)
        except ApiError as error:
            return await refuse(scope, receive, send, error)
        use.under_way += 1
        try:
            await self.app(scope, receive, send)
        finally:
            use.under_way -= 1

    def _take(self, name: str) -> _Usage:
        """The key's usage after taking one request from it; ApiError (429) if none is left."""
        unused = _Usage(float(self._per_minute), self._clock())
        use = self._usage.setdefault(name, unused)
        if self._at_once and use.under_way >= self._at_once:
            raise _too_many(f"has {counted(use.under_way, 'request')} under way, its limit", 1)
        if self._per_minute:
            now = self._clock()
            rate = self._per_minute / 60.0
            use.left = min(float(self._per_minute), use.left + (now - use.filled) * rate)
            use.filled = now
            if use.left < 1.0:
                raise _too_many("has used up its requests for now", (1.0 - use.left) / rate)
            use.left -= 1.0
        return use


def _authorization(scope: Scope) -> str:
    """The Authorization header. A browser can send none for a WebSocket: OpenAI's clients name the
    key as one of its subprotocols then."""
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith(SOCKET_KEY):
            return f"Bearer {protocol.removeprefix(SOCKET_KEY)}"
    return Headers(scope=scope).get("authorization", "")


def key_name(digests: Mapping[str, str], authorization: str) -> str:
    """The name of the key in an Authorization header; ApiError (401) if `digests` lacks it."""
    scheme, _, key = authorization.partition(" ")
    given = _digest(key.strip())
    # All keys are compared, each in constant time, so that the time taken reveals nothing.
    names = [name for name, digest in digests.items() if hmac.compare_digest(digest, given)]
    if scheme.lower() != "bearer" or not names:
        raise ApiError(
            401,
            "The API key is missing or unknown: send Authorization: Bearer KEY.",
            code="invalid_api_key",
            headers={"www-authenticate": 'Bearer realm="earshot"'},
        )
    return names[0]


def _too_many(reason: str, seconds: float) -> ApiError:
    wait = max(1, math.ceil(seconds))
    return ApiError(
        429,
        f"This key {reason}: try again in {counted(wait, 'second')}.",
        code="too_many_requests",
        headers={"retry-after": str(wait)},
    )
