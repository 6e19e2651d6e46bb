"""What takes seconds to prepare, kept as arrays in files that are mapped into memory.

A file is opened at once, and processes that use it share its pages. It is a cache: whoever finds
it damaged or not their own, or cannot write it, prepares the arrays anew.
"""

import hashlib
import json
import logging
import mmap
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.files import replacing

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

SETTING = "EARSHOT_CACHE_DIR"
_KEPT = 8
"""Files of a kind; of more the longest unused go."""
_UNUSED_S = 30 * 86_400.0
"""Age of the last use at which a file goes."""
_ABANDONED_S = 3_600.0
"""Age at which a file goes that was never finished."""
_MAGIC = b"earshot cache 1\n"
_SUFFIX = ".arrays"
_ALIGNED = 64
_SUMMED = 1 << 16  # bytes of one sum
_BLOCK = 4 * _SUMMED  # bytes that are read at a time; they fit into a core's own cache
_FOOTER = 32 + 8 + len(_MAGIC)
_log = logging.getLogger(__name__)
_told: set[str] = set()


def folder() -> Path:
    """Where files are kept: `EARSHOT_CACHE_DIR`, else `earshot` in the user's cache folder.

    Raises:
        OSError: the user has no home.
    """
    if chosen := os.environ.get(SETTING):
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise FileNotFoundError(2, "the user has no home folder") from error
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local") / "earshot" / "cache"
    users = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or users) / "earshot"


def find(kind: str, key: str) -> Arrays | None:
    """The arrays kept under a key, read-only; None where there are none that can be trusted.

    Every byte is checked: compiled code follows the indices in them wherever they lead.
    """
    try:
        path = folder() / _name(kind, key)
        with path.open("rb") as file:
            found = _read(file)
    except OSError:  # most often there is none
        return None
    except (ValueError, LookupError, TypeError) as error:
        _tell(f"{path} is not used, since {error}; it is made anew")
        return None
    with suppress(OSError):
        os.utime(path)  # the last use
    return found


def release(array: NDArray[Any]) -> None:
    """Takes the file in which an array of `find` lies out of the process' memory.

    The system keeps its pages as long as it has room, and gives them back when they are next read,
    by any thread.
    """
    if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.base.madvise(mmap.MADV_DONTNEED)


def keep(kind: str, key: str, arrays: Arrays) -> bool:
    """Whether the arrays are now kept; where they cannot be, the log says so once."""
    place = "a cache folder"
    try:
        place = str(folder())
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        _tidy(folder(), kind)
        with replacing(folder() / _name(kind, key)) as file:
            _write(file, arrays)
    except OSError as error:
        _tell(
            f"what the search needs cannot be kept in {place} ({error.strerror or error}): each "
            f"start takes seconds longer; set {SETTING} to a folder that may be written"
        )
        return False
    return True


def sizes() -> list[int]:
    """Bytes of each file that is kept.

    Raises:
        OSError: the user has no home, or a file cannot be looked at.
    """
    return [path.stat().st_size for path in folder().glob(f"*{_SUFFIX}")]


def _name(kind: str, key: str) -> str:
    digest = hashlib.sha256(f"{sys.byteorder} {key}".encode()).hexdigest()
    return f"{kind}-{digest[:32]}{_SUFFIX}"


def _tell(message: str) -> None:
    if message not in _told:
        _told.add(message)
        _log.warning("%s", message)


def _tidy(place: Path, kind: str) -> None:
    """Makes room for one file more, and removes what nobody has used for long."""
    now = time.time()
    kept = []
    for path in place.iterdir():
        with suppress(OSError):
            used = path.stat().st_mtime
            if path.name.startswith(f"{kind}-") and path.suffix == _SUFFIX:
                kept.append((now - used < _UNUSED_S, used, path))
            elif path.suffix == ".partial" and now - used > _ABANDONED_S:
                path.unlink()
    kept.sort(reverse=True)
    for place_in_row, (fresh, _, path) in enumerate(kept, start=1):
        if not fresh or place_in_row >= _KEPT:
            with suppress(OSError):
                path.unlink()


def _write(file: BinaryIO, arrays: Arrays) -> None:
    """The arrays, a table of them, and a footer: the table's digest and size, and a mark."""
    if hasattr(os, "fchmod"):
        os.fchmod(file.fileno(), 0o644)  # whatever the umask lets others do
    table = []
    for name, array in arrays.items():
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        blocks = (content[start : start + _BLOCK] for start in range(0, len(content), _BLOCK))
        table.append((name, array.dtype.str, array.shape, file.tell(), _digest(blocks)))
        file.write(content.data)
        file.write(bytes(-file.tell() % _ALIGNED))
    about = json.dumps(table).encode()
    file.write(about + hashlib.sha256(about).digest() + len(about).to_bytes(8, "little") + _MAGIC)


def _read(file: BinaryIO) -> Arrays:
    """The arrays of a file.

    Raises:
        ValueError, LookupError, TypeError: it is damaged, or of another user.
    """
    _check_owner(file)
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    size = int.from_bytes(mapped[-len(_MAGIC) - 8 : -len(_MAGIC)], "little")
    about = mapped[-_FOOTER - size : -_FOOTER]
    digest = mapped[-_FOOTER : -_FOOTER + 32]
    if mapped[-len(_MAGIC) :] != _MAGIC or hashlib.sha256(about).digest() != digest:
        raise ValueError("it is damaged")
    arrays = {}
    for name, kind, shape, start, summed in json.loads(about):
        arrays[name] = array = np.ndarray(shape, np.dtype(kind), mapped, start)
        if _digest(_blocks(file, start, array.nbytes)) != summed:
            raise ValueError("it is damaged")
    return arrays


def _check_owner(file: BinaryIO) -> None:
    """Raises ValueError unless the file is this user's or the system's, and only theirs to write"""
    if hasattr(os, "geteuid"):
        about = os.fstat(file.fileno())
        if about.st_uid not in (0, os.geteuid()) or about.st_mode & 0o022:
            raise ValueError("another user may have written it")


def _blocks(file: BinaryIO, start: int, size: int) -> Iterator[NDArray[np.uint8]]:
    """Bytes of a file. Read, not mapped: pages that are mapped count as the process' memory."""
    file.seek(start)
    block = np.empty(_BLOCK, np.uint8)
    for first in range(0, size, _BLOCK):
        part = block[: min(_BLOCK, size - first)]
        if file.readinto(part) != len(part):  # type: ignore[attr-defined]
            raise ValueError("it is too short")
        yield part


def _digest(blocks: Iterable[NDArray[np.uint8]]) -> str:
    """A digest of bytes at some 8 GB/s: of sums in a row, which damage does not leave as they are.

    Against malice there is the owner's check; SHA-256 of all bytes would take a quarter second.
    """
    digest = hashlib.sha256()
    for block in blocks:
        whole = len(block) // _SUMMED * _SUMMED
        digest.update(block[:whole].view(np.uint64).reshape(-1, _SUMMED // 8).sum(1).data)
        digest.update(block[whole:].data)
    return digest.hexdigest()
