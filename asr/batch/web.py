"""Folders of web servers, by the links of their pages: bounded, whatever a server sends."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from html import unescape
from typing import Any, TypeAlias
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from asr.errors import AsrError

DEPTH = 16
"""The most folders between an address and what is read below it."""
_FOLDERS, _LINKS = 10_000, 1_000_000
_PAGE_BYTES = 32 * 2**20
_PAGE_S = 300.0
_LINK = re.compile(r"""<a\s[^<>]*?\bhref\s*=\s*(?:"([^"<>]*)|'([^'<>]*)|([^\s"'<>]+))""", re.I)


@dataclass(frozen=True)
class Page:
    """The page of a folder: its address, after all redirections, and its links."""

    url: str
    links: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """A file, or a folder that is left out for a reason."""

    url: str
    problem: str | None = None


Read: TypeAlias = Callable[[str], Page]
"""Gets the page of a folder; AsrError if it cannot."""


def is_page(type: str) -> bool:
    """Whether a content type is that of pages."""
    return type.partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml")


def path_of(url: str) -> str:
    """The server's name and the path of an address, without escapes."""
    parts = urlsplit(url)
    return f"{parts.netloc}{unquote(parts.path)}"


def page_at(store: Any, url: str) -> Page:
    """The page at an address, by a client of fsspec; without links if it is something else.

    Raises:
        ValueError: it is too long.
        Exception: the server does not give it, or not in time.
    """
    from fsspec.asyn import sync

    page: Page = sync(store.loop, _fetched, store, url)
    return page


def files_below(read: Read, top: str, pattern: Sequence[str] = ()) -> Iterator[Found]:
    """The files that the page of a folder, and those of its folders, link to.

    A link leads to a folder if it ends in a slash; those that lead out of the folder are ignored.
    What is left out for another reason is found with that reason.

    Args:
        top: the address of the folder.
        pattern: the parts of a pattern of paths below it.

    Raises:
        AsrError: the folder itself cannot be read.
    """
    crawl = _Crawl(read, pattern, [(top, ())])
    yield from crawl.found()
    for left, why in (
        (crawl.deep, f"more than {DEPTH} folders below {top}: give its own address"),
        (crawl.circles, "in a circle, by the links of its page: left out"),
    ):
        if left:
            others = f", as {len(left) - 1:,} more," * (len(left) > 1)
            yield Found(min(left), f"{min(left)} lies{others} {why}")


@dataclass
class _Crawl:
    read: Read
    pattern: Sequence[str]
    folders: list[tuple[str, tuple[frozenset[str], ...]]]
    """Not yet read, with what those above link to."""
    root: str = ""
    links: int = 0
    seen: set[str] = field(default_factory=set)
    deep: list[str] = field(default_factory=list)
    circles: list[str] = field(default_factory=list)

    def found(self) -> Iterator[Found]:
        """Files, and folders that cannot be read."""
        for _ in range(_FOLDERS):
            if not self.folders or self.links > _LINKS:
                break
            yield from self._inside(*self.folders.pop())
        if self.folders:
            url = self.folders[-1][0]
            yield Found(
                url,
                f"{url} and others are left out, after {_FOLDERS:,} folders or {_LINKS:,} links: "
                "give their own addresses",
            )

    def _inside(self, url: str, above: tuple[frozenset[str], ...]) -> Iterator[Found]:
        try:
            page = self.read(url)
        except AsrError as error:
            if not above:
                raise
            yield Found(url, str(error))
            return
        self.root = self.root or _folder_of(page.url)
        targets = _below(page)
        names = frozenset(targets)
        if len(names) > 1 and names in above:  # talks/talks/ alone is no circle
            self.circles.append(url)
            return
        self.links += len(names)
        for target in targets.values():
            if target not in self.seen and path_of(target).startswith(self.root):
                self.seen.add(target)
                yield from self._at(target, (*above, names))

    def _at(self, url: str, above: tuple[frozenset[str], ...]) -> Iterator[Found]:
        *folders, name = path_of(url).removeprefix(self.root).split("/")
        if len(folders) > DEPTH:
            self.deep.append(url)
        elif not name and _leads(folders, self.pattern):
            self.folders.append((url, above))
        elif name and _matches([*folders, name], self.pattern):
            yield Found(url)


async def _fetched(store: Any, url: str) -> Page:
    session = await store.set_session()
    asked = session.get(store.encode_url(url), **store.kwargs)
    async with asyncio.timeout(_PAGE_S), asked as answer:
        answer.raise_for_status()
        place = str(answer.url) if answer.history else url
        if not is_page(answer.headers.get("Content-Type", "text/html")):
            return Page(place)
        content = bytearray()
        async for piece in answer.content.iter_any():
            content += piece
            if len(content) > _PAGE_BYTES:
                raise ValueError(f"its page has more than {_PAGE_BYTES >> 20} MB")
        text = content.decode("utf-8", "replace")
    return Page(place, [unescape("".join(parts)) for parts in _LINK.findall(text)])


def _folder_of(url: str) -> str:
    return f"{path_of(url).rpartition('/')[0]}/"


def _below(page: Page) -> dict[str, str]:
    """The addresses below a page's own that it links to, by their paths there."""
    base, found = _folder_of(page.url), {}
    for link in page.links:
        try:
            url = urldefrag(urljoin(page.url, link)).url
            path = path_of(url)
        except ValueError:  # no address
            continue
        if url.startswith(("http://", "https://")) and path.startswith(base) and path != base:
            # A folder's query says how it is sorted.
            found[path.removeprefix(base)] = url.partition("?")[0] if path.endswith("/") else url
    return found


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path, or that of a folder above it, matches a pattern."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _leads(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether there may be something in a folder that matches a pattern."""
    if not (parts and pattern) or pattern[0] == "**":
        return True
    return fnmatchcase(parts[0], pattern[0]) and _leads(parts[1:], pattern[1:])
