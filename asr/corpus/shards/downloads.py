"""Downloaded files, the last few that were asked for, on the local disk."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from asr.errors import BadData
from asr.files import replacing
from asr.scratch import locked

_PIECE = 1 << 20
_COMMAND = "pipe:"


def read_address(address: str) -> bytes:
    """The content at an address; BadData if it cannot be read to its end."""
    return b"".join(_pieces(address))


class Downloads:
    """Files that are downloaded when they are first asked for; the oldest are deleted for new ones.

    Processes may share the folder: one of them downloads a file, the others wait for it.

    Args:
        folder: where the files are kept.
        most: how many are kept.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most

    def open(self, address: str, name: str) -> BinaryIO:
        """The file at `address`, kept as `name`; once open, other processes may delete it."""
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(path.with_suffix(".lock"), waits=True):
                if not path.exists():
                    self._fetch(address, path)
                file = path.open("rb")
                os.utime(path)
            with locked(self._folder / "room.lock", waits=True):
                self._make_room()
        except OSError as error:
            raise BadData(
                f"{path} cannot be written ({error.strerror}): set data.cache to a folder with "
                "room for a few shards."
            ) from error
        return file

    def _fetch(self, address: str, path: Path) -> None:
        with replacing(path) as file:
            for piece in _pieces(address):
                file.write(piece)

    def _make_room(self) -> None:
        kept = sorted(self._folder.glob("*.tar"), key=lambda path: path.stat().st_mtime)
        for path in kept[: -self._most]:
            path.unlink()


def _pieces(address: str) -> Iterator[bytes]:
    """What a command prints, or what smart_open reads at a URL."""
    command = address.removeprefix(_COMMAND)
    yield from _from_url(address) if command == address else _from_command(address, command)


def _from_command(address: str, command: str) -> Iterator[bytes]:
    with subprocess.Popen(command, shell=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while piece := process.stdout.read(_PIECE):
            yield piece
    if process.returncode:
        raise _unreadable(address, f"exit {process.returncode}")


def _from_url(address: str) -> Iterator[bytes]:
    try:
        import smart_open
    except ModuleNotFoundError as error:
        raise BadData(
            f"{address} cannot be read without smart_open: `pip install 'smart_open[s3]'`, or give "
            f"a command as {_COMMAND}COMMAND."
        ) from error
    try:
        with smart_open.open(address, "rb", compression="disable") as stream:
            while piece := stream.read(_PIECE):
                yield piece
    except Exception as error:  # the client of each kind of store raises errors of its own
        raise _unreadable(address, error) from error


def _unreadable(address: str, reason: object) -> BadData:
    reason = " ".join(str(reason).split())[:200]
    return BadData(f"{address} cannot be read ({reason}): check the address and its permissions.")
