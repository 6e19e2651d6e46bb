"""Files from elsewhere, the last few that were asked for, on the local disk."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, cast

from asr.errors import BadData


def read_address(address: str) -> bytes:
    """What is at an address, read by lhotse's own readers; BadData where that fails."""
    with _opened(address) as stream:
        return stream.read()


class Spool:
    """Files fetched whole when they are first asked for, the oldest making room for new ones.

    Processes share a spool: each file is fetched by one of them, and the others wait for it.

    Args:
        folder: where they are kept.
        most: how many are.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most

    def open(self, address: str, name: str) -> BinaryIO:
        """The file from `address`, kept as `name`; once open, it may be given up by others."""
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _locked(path.with_suffix(".lock")):
                if not path.exists():
                    self._fetch(address, path)
                file = path.open("rb")
                os.utime(path)
            with _locked(self._folder / "room.lock"):
                self._make_room()
        except OSError as error:
            raise BadData(
                f"{path} cannot be written ({error.strerror}): set data.cache to a folder with "
                "room for a few shards."
            ) from error
        return file

    def _fetch(self, address: str, path: Path) -> None:
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            with _opened(address) as stream, partial.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def _make_room(self) -> None:
        kept = sorted(self._folder.glob("*.tar"), key=lambda path: path.stat().st_mtime)
        for path in kept[: -self._most]:
            path.unlink()


@contextmanager
def _opened(address: str) -> Iterator[BinaryIO]:
    from lhotse.serialization import open_best

    try:
        with open_best(address, "rb") as stream:
            yield cast(BinaryIO, stream)
            # Of a pipe, once it is read to its end; its `close` forgets to look (lhotse 1.33).
            getattr(stream, "wait_for_child", lambda: None)()
    except OSError as error:
        if error.filename is not None:  # of a file of ours
            raise
        raise _unreadable(address, error) from error
    except Exception as error:  # every opener of lhotse has errors of its own
        raise _unreadable(address, error) from error


def _unreadable(address: str, error: Exception) -> BadData:
    if find_spec("smart_open") is None and not address.startswith("pipe:"):
        return BadData(
            f"{address} cannot be read without smart_open: `pip install 'smart_open[s3]'`, or give "
            "a command as pipe:COMMAND."
        )
    reason = " ".join(str(error.__cause__ or error.__context__ or error).split())[:200]
    return BadData(f"{address} cannot be read ({reason}): check the address and its permissions.")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed
        yield
