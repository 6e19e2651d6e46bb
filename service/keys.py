"""API keys: who may ask, and how much at a time.

A key is 32 random bytes, so a plain SHA-256 of it is safe to keep; the key itself is shown once, by
`asr key NAME`, and never stored. Without any key configured every Authorization header is accepted
and ignored, as OpenAI's clients always send one.
"""

import hashlib
import hmac
import math
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from asr.errors import BadOption
from service.errors import ApiError, answer

_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,64})[:\s]\s*(?P<digest>[0-9a-f]{64})")
_GUARDED = "/v1/"


def new_key(name: str) -> tuple[str, str]:
    """A new key, and the line by which the service knows it."""
    key = f"es-{secrets.token_urlsafe(32)}"
    return key, f"{name}:{_digest(key)}"


def read_keys(listed: str, file: Path | None, variable: str = "EARSHOT_API_KEYS") -> dict[str, str]:
    """Name -> SHA-256 of each key, from a comma-separated list (the value of `variable`) and from
    a file of lines.

    Raises:
        BadOption: the file cannot be read, or a line is not `NAME:SHA256`, or a name comes twice.
    """
    keys: dict[str, str] = {}
    for where, line in [*_lines(variable, listed.split(",")), *_file_lines(file)]:
        found = _LINE.fullmatch(line)
        if found is None:
            raise BadOption(
                f"{where} is not NAME:SHA256 (64 hexadecimal digits): let `asr key NAME` write it."
            )
        if found["name"] in keys:
            raise BadOption(f"{where} names {found['name']!r} again: give each key its own name.")
        keys[found["name"]] = found["digest"]
    return keys


def _file_lines(file: Path | None) -> list[tuple[str, str]]:
    if file is None:
        return []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(f"the file of API keys {file} cannot be read: {error}.") from error
    return _lines(str(file), lines)


def _lines(name: str, lines: Iterable[str]) -> list[tuple[str, str]]:
    """Where each line stands, and the line; empty ones and comments are left out."""
    return [
        (f"{name}, entry {number},", line.strip())
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass
class _Use:
    """What one key has under way, and how many requests it has left (a token bucket)."""

    left: float
    filled: float
    under_way: int = 0


class Keys:
    """Middleware that lets in who has a key and keeps each key within its limits.

    What is refused here never has its body read.

    Args:
        digests: name -> SHA-256 of each key; none at all lets everybody in.
        per_minute: requests that a key may make in a minute on average, and at once; 0: any.
        at_once: requests that a key may have under way; 0: any.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        app: ASGIApp,
        digests: Mapping[str, str],
        per_minute: int = 0,
        at_once: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self._digests = dict(digests)
        self._per_minute = per_minute
        self._at_once = at_once
        self._clock = clock
        self._uses = {name: _Use(float(per_minute), clock()) for name in digests}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope["type"] == "http" and scope["path"].startswith(_GUARDED)
        if not guarded or not self._digests:
            return await self.app(scope, receive, send)
        try:
            name = holder(self._digests, Headers(scope=scope).get("authorization", ""))
            scope["state"]["key"] = name  # the log names whose requests are refused, too
            use = self._taken(name)
        except ApiError as error:
            response = await answer(Request(scope), error)
            return await response(scope, receive, send)
        use.under_way += 1
        try:
            await self.app(scope, receive, send)
        finally:
            use.under_way -= 1

    def _taken(self, name: str) -> _Use:
        """The key's use with one request taken from it; 429 where nothing is left."""
        use = self._uses[name]
        if self._at_once and use.under_way >= self._at_once:
            raise _too_many(f"has {use.under_way} requests under way, its limit", 1)
        if self._per_minute:
            now = self._clock()
            rate = self._per_minute / 60.0
            use.left = min(float(self._per_minute), use.left + (now - use.filled) * rate)
            use.filled = now
            if use.left < 1.0:
                raise _too_many("has used up its requests for now", (1.0 - use.left) / rate)
            use.left -= 1.0
        return use


def holder(digests: Mapping[str, str], authorization: str) -> str:
    """The name of the key in an Authorization header; 401 where it is none of `digests`."""
    scheme, _, key = authorization.partition(" ")
    given = _digest(key.strip())
    # Every key is compared, each in constant time: how long it takes tells nothing.
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
        f"This key {reason}: try again in {wait} seconds.",
        code="too_many_requests",
        headers={"retry-after": str(wait)},
    )
