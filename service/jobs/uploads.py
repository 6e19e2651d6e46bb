"""The recordings of jobs in a store that replicas share, as s3://bucket/folder, by fsspec."""

import contextlib
import logging
import os
import re
import secrets
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from asr.errors import BadOption, in_brief
from asr.files import replacing
from asr.remote import opened

log = logging.getLogger(__name__)

_OURS = re.compile(r"job_[0-9a-f]{24}")


class UploadsFailed(Exception):
    """The store cannot be reached, or refuses what it was asked."""


class Uploads:
    """The recordings below an address; each has the id of its job as its name.

    The methods wait for the network, so the event loop calls them in a thread.

    Raises:
        BadOption: there is no such kind of store, or it cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._store, self._root = opened(url, "EARSHOT_JOBS_UPLOADS")
        try:
            with _failures_told():
                if "file" in self._store.protocol:
                    self._store.makedirs(self._root, exist_ok=True)
                self._try_out()
        except (UploadsFailed, FileNotFoundError) as error:
            raise BadOption(
                f"EARSHOT_JOBS_UPLOADS cannot be used ({error}): correct it, or the rights and the "
                "network of this service."
            ) from error

    def _try_out(self) -> None:
        """Write and remove something: a listing may say nothing of a bucket that is not there."""
        name = self._place(f".earshot-{secrets.token_hex(8)}")
        self._store.pipe_file(name, b"earshot may write here")
        self._store.rm_file(name)

    def put(self, id: str, path: Path) -> None:
        """Keep a recording; UploadsFailed if that fails."""
        with _failures_told():
            self._store.put_file(os.fspath(path), self._place(id))

    def fetch(self, id: str, path: Path) -> None:
        """Copy a recording to the disk, all of it or nothing.

        Raises:
            FileNotFoundError: it is gone.
            UploadsFailed: the store fails.
            OSError: the disk fails.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file, _failures_told(), self._store.open(self._place(id)) as stored:
            while piece := stored.read(1 << 22):
                file.write(piece)

    def remove(self, id: str) -> None:
        """Remove a recording, if it is there; what fails now is swept later."""
        try:
            with contextlib.suppress(FileNotFoundError), _failures_told():
                self._store.rm_file(self._place(id))
        except UploadsFailed as error:
            log.warning("the recording of job %s was not removed: %s", id, error)

    def sweep(self, ids: Collection[str], older_s: float) -> None:
        """Remove recordings of none of these jobs that were not changed for so long."""
        before = time.time() - older_s
        with contextlib.suppress(UploadsFailed, FileNotFoundError), _failures_told():
            for name in self._files():
                id = name.rsplit("/", 1)[-1]
                is_left = _OURS.fullmatch(id) and id not in ids
                if is_left and self._store.modified(name).timestamp() <= before:
                    self._store.rm_file(name)

    def _place(self, id: str) -> str:
        return f"{self._root.rstrip('/')}/{id}"

    def _files(self) -> list[str]:
        return list(self._store.find(self._root, maxdepth=1))


@contextlib.contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # each kind of store raises errors of its own
        raise UploadsFailed(in_brief(error)) from error
