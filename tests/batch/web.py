"""Servers of recordings: a folder by its pages, and a bucket as S3 answers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import md5
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server that answers as told."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Folder(SimpleHTTPRequestHandler):
    """Serves a folder, and refuses each of some paths as often as it is told to."""

    def __init__(self, *arguments: Any, refused: dict[str, tuple[int, int]], **rest: Any) -> None:
        self._refused = refused
        super().__init__(*arguments, **rest)

    def do_GET(self) -> None:
        status, times = self._refused.get(self.path, (0, 0))
        if times:
            self._refused[self.path] = status, times - 1
            self.send_error(status)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


class Same(BaseHTTPRequestHandler):
    """Answers each path with the same page, and counts the requests."""

    def __init__(self, *arguments: Any, page: str, asked: list[str]) -> None:
        self._page, self._asked = page, asked
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self._page.encode())

    def log_message(self, *_: object) -> None:
        pass


def same(page: str, asked: list[str]) -> Any:
    """A server that has one page only."""
    return serving(partial(Same, page=page, asked=asked))


def web(folder: Path, refused: dict[str, tuple[int, int]] | None = None) -> Any:
    """A server of the files in a folder.

    Args:
        refused: by path, a status with which it is answered, and how often.
    """
    return serving(partial(Folder, directory=str(folder), refused=refused or {}))


class Bucket(BaseHTTPRequestHandler):
    """The three requests of S3 that reading takes, of one bucket; one key is good."""

    protocol_version = "HTTP/1.1"

    def __init__(
        self, *arguments: Any, name: str, files: dict[str, bytes], asked: list[str]
    ) -> None:
        self._name, self._files, self._asked = name, files, asked
        super().__init__(*arguments)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._asked.append(parts.path)
        bucket, _, key = unquote(parts.path).removeprefix("/").partition("/")
        if "Credential=good/" not in self.headers.get("Authorization", ""):
            self._refuse(403, "AccessDenied")
        elif bucket != self._name:
            self._refuse(404, "NoSuchBucket")
        elif not key:
            self._answer(200, self._listing(parse_qs(parts.query)).encode(), {})
        elif key not in self._files:
            self._refuse(404, "NoSuchKey")
        else:
            content = self._files[key]
            when = "Mon, 30 Nov 2026 00:00:00 GMT"
            self._answer(200, content, {"ETag": _tag(content), "Last-Modified": when})

    do_HEAD = do_GET

    def _listing(self, query: dict[str, list[str]]) -> str:
        prefix = query.get("prefix", [""])[0]
        found = {key: content for key, content in self._files.items() if key.startswith(prefix)}
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><ETag>{_tag(content)}</ETag>"
            f"<LastModified>2026-11-30T00:00:00.000Z</LastModified><Size>{len(content)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key, content in sorted(found.items())
        )
        return (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{self._name}</Name><KeyCount>{len(found)}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        )

    def _refuse(self, status: int, code: str) -> None:
        said = f"<Error><Code>{code}</Code><Message>{code} it is</Message></Error>"
        self._answer(status, said.encode(), {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _tag(content: bytes) -> str:
    return f'"{md5(content).hexdigest()}"'


def bucket(name: str, files: dict[str, bytes], asked: list[str] | None = None) -> Any:
    """A server of a bucket, for whoever has the key `good`; it notes what it is asked for."""
    return serving(partial(Bucket, name=name, files=files, asked=[] if asked is None else asked))
