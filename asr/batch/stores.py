"""Recordings in object stores and on web servers: their addresses, listed and fetched by fsspec."""

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from asr.audio import EXTENSIONS
from asr.batch.web import Page, files_below, is_page, page_at, path_of
from asr.errors import AsrError, in_brief
from asr.remote import missing, opened

Version: TypeAlias = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds, or a number made of what else a store
says of a version: another one is another recording."""

Answer = TypeVar("Answer")
Listed: TypeAlias = "tuple[Address, Path, str | None]"
"""A file, its path below what was asked for, and why it cannot be read, if that is known."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://")
_WEB = ("http://", "https://")
_OURS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Of the disk that a file is fetched to."""
_TAGS = ("etag", "lastmodified", "updated", "mtime", "created", "contentmd5")
"""What stores call that which another version of a file has otherwise; the best first."""
_CONNECT_S = 30.0
_SILENCE_S = 60.0
"""Seconds without a byte from a web server after which a file is asked for again."""


class StoreError(AsrError):
    """A store does not give what it is asked for.

    Args:
        final: whether asking again is of no use.
    """

    def __init__(self, sentence: str, final: bool = True) -> None:
        super().__init__(sentence)
        self.final = final


@dataclass(frozen=True)
class Address:
    """A file in a store."""

    url: str
    known: Version | None = field(default=None, compare=False)
    """Its version, if a listing has said it."""

    def __str__(self) -> str:
        return self.url

    @property
    def inner(self) -> Path:
        """Its path below the store, or the web server's name."""
        return _safe(_path(self.url))

    @property
    def suffix(self) -> str:
        return self.inner.suffix

    @property
    def stem(self) -> str:
        return self.inner.stem

    def version(self) -> Version:
        """Its version now.

        Raises:
            StoreError: it is not there, or its store does not answer.
        """
        return _asked(self.url, lambda store, name: _version(store.info(name)))

    def fetch(self, target: Path) -> Version | None:
        """Copies the file to the disk; None if it changes while that is done.

        Raises:
            StoreError: as of `version`.
            OSError: the disk cannot be written.
        """

        def copied(store: Any, name: str) -> tuple[Version, int]:
            store.get_file(name, os.fspath(target))
            return _version(store.info(name)), target.stat().st_size

        before = self.known
        for _ in range(2):  # what was listed may be old
            after, size = _asked(self.url, copied)
            if after[0] in (0, size) and after == (before or after):
                return after
            before = after
        return None


def is_address(text: str) -> bool:
    """Whether a path is the address of a store; a file by its address is a path."""
    return _SCHEME.match(text) is not None


def in_store(url: str) -> Iterator[Listed]:
    """The files at an address, each with its path below it, sorted.

    They are those below a folder; those that match a pattern, with their paths below its part
    without wildcards; or the file alone, whose path is empty. A folder of a web server is a page
    that links to its files; one below it that is left out comes with the reason (`files_below`).

    Raises:
        StoreError: nothing is there, or the store does not answer.
        BadOption: a package is missing, or there is no such kind of store.
    """
    if url.startswith(_WEB):
        yield from _on_web(url)
    elif any(char in url for char in "*?["):
        fixed = re.split(r"[^/]*[*?\[]", url)[0]
        yield from _asked(url, lambda store, name: _matching(store, name, fixed))
    else:
        yield from _asked(url, lambda store, name: _at(store, name, url))


def _on_web(url: str) -> Iterator[Listed]:
    top = re.split(r"[^/]*[*\[]", url)[0]  # a question mark begins a query
    pattern = [part for part in path_of(url).removeprefix(path_of(top)).split("/") if part]
    if top == url and not urlsplit(url).path.endswith("/"):
        about = _asked(url, lambda store, name: store.info(name))
        if not is_page(about.get("mimetype", "")) or Address(url).suffix.lower() in EXTENSIONS:
            yield Address(url), Path(), None
            return
        top = f"{url}/"

    def read(url: str) -> Page:
        return _asked(url, lambda store, _: page_at(store, url))

    above = len(_safe(path_of(top)).parts)
    for found in sorted(files_below(read, top, pattern), key=lambda found: found.url):
        address = Address(found.url)
        yield address, Path(*address.inner.parts[above:]), found.problem


def _at(store: Any, name: str, url: str) -> list[Listed]:
    about = store.info(name)
    if about["type"] != "directory":
        return [(Address(url, _version(about)), Path(), None)]
    return _addresses(store, store.find(name, detail=True), url)


def _matching(store: Any, pattern: str, fixed: str) -> list[Listed]:
    found = dict(store.glob(pattern, detail=True))
    for name, about in list(found.items()):
        if about.get("type") == "directory":
            found.update(store.find(name, detail=True))
    return _addresses(store, found, fixed)


def _addresses(store: Any, found: Mapping[str, Mapping[str, Any]], top: str) -> list[Listed]:
    """The files among what was found, with their paths below `top`."""
    above = len(_safe(_path(top)).parts)
    files = [
        Address(
            store.unstrip_protocol(name),
            None if about.get("size") is None else _version(about),
        )
        for name, about in sorted(found.items())
        if about.get("type") == "file" and not name.endswith("/")
    ]
    return [(address, Path(*address.inner.parts[above:]), None) for address in files]


def _path(url: str) -> str:
    """The store's or server's name, and the path."""
    return path_of(url) if url.startswith(_WEB) else url.split("://", 1)[1]


def _safe(path: str) -> Path:
    """A path that leads to nowhere but down."""
    parts = PurePosixPath(path.replace("\0", "")).parts
    return Path(*(part for part in parts if part not in ("/", "//", "..")))


def _version(about: Mapping[str, Any]) -> Version:
    """The version of a file by what a store says of it; 0 stands for what it does not say."""
    values = {re.sub("[^a-z0-9]", "", key.lower()): value for key, value in about.items()}
    tag = next((values[name] for name in _TAGS if values.get(name)), "")
    if isinstance(tag, datetime):  # a listing of the same store may say it in seconds
        tag = tag.timestamp()
    digest = hashlib.sha256(str(tag).encode()).digest()
    return about.get("size") or 0, int.from_bytes(digest[:7], "big") if tag else 0


def _asked(url: str, ask: Callable[[Any, str], Answer]) -> Answer:
    """What a store answers; it is given with the name that it has for the address."""
    parts = urlsplit(url)
    try:
        store = _store(parts.scheme, parts.netloc)
        return ask(store, store._strip_protocol(url))
    except ImportError as error:
        raise missing(url, error) from error
    except AsrError:
        raise
    except Exception as error:  # the client of each kind of store raises errors of its own
        if isinstance(error, OSError) and error.errno in _OURS:
            raise
        raise _refused(url, error) from error


@cache
def _store(scheme: str, place: str) -> Any:
    """The client of a store."""
    options: dict[str, Any] = {}
    if scheme in ("http", "https"):
        import aiohttp

        patience = aiohttp.ClientTimeout(None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
        options["client_kwargs"] = {"timeout": patience, "trust_env": True}
    return opened(f"{scheme}://{place}", **options)[0]


def _refused(url: str, error: BaseException) -> StoreError:
    """What is wrong, in one sentence."""
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__  # of web servers, where everything is not found
    status = getattr(error, "status", None)
    kind = type(error).__name__
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return StoreError(f"{url} does not exist: check the address")
    said = in_brief(error).replace(" ssl:default", "")  # which aiohttp says of http:// too
    if isinstance(error, PermissionError) or status in (401, 403) or "Credentials" in kind:
        return StoreError(
            f"{url} is refused ({said}): give credentials that may read it, as its store's "
            "own tools take them"
        )
    final = isinstance(status, int) and 400 <= status < 500 and status not in (408, 429)
    return StoreError(
        f"{url} cannot be read ({said}): check the address and the network", final or kind in _FINAL
    )


_FINAL = ("ParamValidationError", "ValueError", "NotImplementedError")
