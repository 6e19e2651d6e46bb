"""Files that are written whole: a reader sees the old content or the new, never a part of it."""

import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from asr.errors import BadOption

_NO_UTF8 = re.compile("[\udc80-\udcff]")
_HALVES = re.compile("[\ud800-\udfff]")
NO_TEXT = "its name is no UTF-8: rename it"
"""Said of a file that no manifest can name."""


def as_path(given: object, what: str) -> Path:
    """The path that a caller gave for `what`; BadOption if it is none."""
    if not isinstance(given, str | bytes | os.PathLike):
        raise BadOption(f"{what} is given as {type(given).__name__}: give a path.")
    return Path(os.fsdecode(given))


def readable(name: str) -> str:
    """A file's name as valid text, of which bytes that are no UTF-8 are written like `\\xe9`.

    Python reads each of them as a lone surrogate (PEP 383), which no text and no JSON may have.
    """
    return _NO_UTF8.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", name)


def is_text(name: str) -> bool:
    """Whether a name is valid text, which any file can hold."""
    return _HALVES.search(name) is None


def check_writable(path: Path) -> None:
    """Tries whether a file or folder can be made at `path`; makes the folder that it lies in.

    Raises:
        BadOption: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise BadOption(
            f"{path} cannot be written ({error.strerror}): name another place."
        ) from error


@contextmanager
def replacing(path: Path, shared: bool = True) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when the block ends without an error.

    Its content is flushed to the disk first, so that also after a power cut the file is whole. A
    link is followed; a device or a pipe is written as it is, since nothing may take its place.

    Args:
        shared: whether other processes may write the file at the same time. Without it the partial
            file has one name, `.NAME.partial`, so that kills leave at most one behind.

    Raises:
        OSError: the file cannot be written. Nothing is left behind.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    # In the same folder, since a rename is atomic only within one file system.
    partial = path.with_name(f".{secrets.token_hex(8) if shared else shorter(path.name)}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)  # a full disk gets its space back
        raise


def shorter(name: str) -> str:
    """A name to which a partial file may add: file systems allow 255 bytes."""
    encoded = os.fsencode(name)
    return name if len(encoded) < 200 else hashlib.sha256(encoded).hexdigest()


def write_atomically(path: Path, content: str | bytes, shared: bool = True) -> None:
    """Writes `content`, text as UTF-8, to `path`; makes its folders.

    Args:
        shared: as of `replacing`.

    Raises:
        BadOption: the file cannot be written.
    """
    with writing(path, shared) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def writing(path: Path, shared: bool = True) -> Iterator[BinaryIO]:
    """As `replacing`, for a file whose folders may have to be made.

    Raises:
        BadOption: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, shared) as file:
            yield file
    except OSError as error:
        raise BadOption(
            f"{path} cannot be written ({error.strerror}): choose another folder."
        ) from error
