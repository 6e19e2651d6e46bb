"""The spool: the recordings of jobs on the disk, within a bound in bytes.

Each job has a folder of its own: its recording, and what is kept of the windows that are done. With
a store of uploads a recording is in the folder while it arrives and while it is worked on. The
methods wait for the disk, so the event loop calls them in a thread.
"""

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import IO

from asr.errors import BadOption
from service.jobs.uploads import Uploads

LEFT_S = 86_400.0
"""Seconds after which what replicas share, and belongs to no job, is of one that was killed."""
_RECORDING = "recording"


class SpoolFull(Exception):
    """The recordings of jobs take as many bytes as they may."""


class Spool:
    """The folders of jobs.

    Args:
        most_bytes: that all recordings may take.
        uploads: where recordings are kept; None for the folder.

    Raises:
        BadOption: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, most_bytes: int, uploads: Uploads | None = None) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self.uploads = uploads
        self._lock = threading.Lock()
        self._arriving = 0
        self._accepted = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(folder, error) from error

    @property
    def held(self) -> int:
        """Bytes of all recordings."""
        return self._arriving + self._accepted

    def set_accepted(self, size: int) -> None:
        """The bytes of the recordings of all jobs that have not ended, as the store has them."""
        self._accepted = size

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may be written."""
        return self.held + size <= self._most_bytes

    def take(self, size: int) -> None:
        """Count bytes that are about to be written; SpoolFull if there is no room for them."""
        with self._lock:
            if not self.has_room(size):
                raise SpoolFull
            self._arriving += size

    def give_back(self, size: int) -> None:
        """Count bytes that were to be written, and are gone."""
        with self._lock:
            self._arriving -= size

    def settle(self, size: int) -> None:
        """Count bytes that have arrived as those of a job."""
        with self._lock:
            self._arriving -= size
            self._accepted += size

    def folder(self, id: str) -> Path:
        """The folder of a job."""
        return self._folder / id

    def recording(self, id: str) -> Path:
        """The recording of a job."""
        return self.folder(id) / _RECORDING

    def fetch(self, id: str) -> Path:
        """The recording of a job on the disk.

        Raises:
            FileNotFoundError: it is gone.
            UploadsFailed: the store of uploads fails.
        """
        path = self.recording(id)
        if self.uploads is not None and not path.exists():
            self.uploads.fetch(id, path)
        path.stat()
        return path

    def leave(self, id: str) -> None:
        """Remove what is here of a job that another replica works on."""
        if self.uploads is not None:
            shutil.rmtree(self.folder(id), ignore_errors=True)

    def upload(self, id: str) -> "Upload":
        """A file for the recording of a job that is not accepted yet."""
        return Upload(self, id)

    def empty(self, id: str, size: int) -> None:
        """Remove the recording of a job, and all that is kept for its work.

        Args:
            size: bytes that it counted for; 0 if its job had ended.
        """
        with self._lock:
            self._accepted = max(0, self._accepted - size)
        shutil.rmtree(self.folder(id), ignore_errors=True)
        if self.uploads is not None:
            self.uploads.remove(id)

    def sweep(self, ids: Collection[str], older_s: float) -> None:
        """Remove all that belongs to none of these jobs, and was not changed for so long.

        What is left in a store of uploads is kept for `LEFT_S` at least: others may use it too.
        """
        if self.uploads is not None:
            self.uploads.sweep(ids, max(older_s, LEFT_S))
        before = time.time() - older_s
        for folder in self._folder.iterdir():
            with contextlib.suppress(OSError):  # another replica is quicker
                if folder.name not in ids and folder.stat().st_mtime <= before:
                    shutil.rmtree(folder, ignore_errors=True)


class Upload:
    """A recording on its way to the disk: what a form's parser needs of a file."""

    def __init__(self, spool: Spool, id: str) -> None:
        self.id = id
        self._spool = spool
        self._opened: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self.size = 0
        """Bytes that were written."""
        self.head = b""
        """The first of them."""
        self.is_accepted = False
        """Whether it stays when it is closed."""
        self._is_stored = False

    @property
    def _file(self) -> IO[bytes]:
        if self._opened is None:
            self._spool.folder(self.id).mkdir()
            self._opened = self._spool.recording(self.id).open("w+b")
        return self._opened

    def write(self, data: bytes) -> int:
        """Write at the end; SpoolFull if there is no room."""
        self._spool.take(len(data))
        self.size += len(data)
        if len(self.head) < 64:
            self.head += data[: 64 - len(self.head)]
        self._digest.update(data)
        return self._file.write(data)

    def seek(self, offset: int) -> int:
        """Go to a place in the file."""
        return self._file.seek(offset)

    def read(self, size: int = -1) -> bytes:
        """The bytes from there on."""
        return self._file.read(size)

    def digest(self, *more: str) -> str:
        """SHA-256 of what was written, with other texts."""
        digest = self._digest.copy()
        for text in more:
            digest.update(b"\0" + text.encode())
        return digest.hexdigest()

    def save(self) -> None:
        """Have it where it stays, whatever happens from now on."""
        self._file.flush()
        if (uploads := self._spool.uploads) is not None:
            self._is_stored = True
            uploads.put(self.id, self._spool.recording(self.id))
            self._spool.leave(self.id)
            return
        os.fsync(self._file.fileno())
        for folder in (self._spool.folder(self.id), self._spool.folder(self.id).parent):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def settle(self) -> None:
        """It is the recording of a job from now on."""
        self._spool.settle(self.size)

    def close(self) -> None:
        """Close the file, and remove it unless it was accepted."""
        if self._opened is not None:
            self._opened.close()
        if not self.is_accepted:
            shutil.rmtree(self._spool.folder(self.id), ignore_errors=True)
            if self._is_stored and self._spool.uploads is not None:
                self._spool.uploads.remove(self.id)
            self._is_stored = False
            self._spool.give_back(self.size)
            self.size = 0


def unusable(folder: Path, error: OSError) -> BadOption:
    """The error of a folder that cannot be used."""
    return BadOption(
        f"EARSHOT_JOBS_FOLDER {folder} cannot be used ({error.strerror}): name a folder that this "
        "service may write."
    )
