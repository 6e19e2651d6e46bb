"""Locks that end with their process, and temporary folders that outlive no next run."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows; there nobody is kept apart
    fcntl = None  # type: ignore[assignment]

_LOCK = ".lock"


def locked(path: Path, shared: bool = False, waits: bool = False) -> BinaryIO:
    """The file at `path`, which is made if need be, with a lock on it until it is closed.

    The lock is the system's, and ends with the process, however that ends.

    Args:
        shared: with others who share it.
        waits: until another lets go of the lock.

    Raises:
        BlockingIOError: another has the lock, and is not waited for.
        OSError: the file cannot be written.
    """
    file = path.open("a+b")
    try:
        if fcntl is not None:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(file, kind if waits else kind | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A temporary folder for the time of the block.

    Those of the same prefix are removed that killed processes of this user have left.
    """
    _remove_left(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        begun = Path(name) / f"{_LOCK}.new"
        with locked(begun):
            begun.rename(begun.with_name(_LOCK))  # nobody has ever seen it without its lock
            yield Path(name)


def _remove_left(prefix: str) -> None:
    for lock in Path(tempfile.gettempdir()).glob(f"{prefix}*/{_LOCK}"):
        with suppress(OSError):  # in use, or already gone
            if fcntl is not None and lock.lstat().st_uid == os.getuid():
                with locked(lock):
                    shutil.rmtree(lock.parent)
