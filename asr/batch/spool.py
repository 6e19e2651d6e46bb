"""Recordings that were fetched from stores, on the disk until they have been read."""

import shutil
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from asr.batch.journal import OutputLost
from asr.batch.stores import Address, StoreError, Version
from asr.batch.workplace import remove
from asr.scratch import scratch

_MOST_BYTES = 2**30
"""Once so much is fetched, nothing more is."""
_PAUSES_S = (0.5, 2.0, 8.0)
"""Waited before a file is asked for again, which a store has failed to give."""


class Spool:
    """Fetches recordings, several at a time, in bounded room.

    Args:
        folder: nobody else's; what is in it is deleted. Without one, a temporary folder.
    """

    def __init__(self, folder: Path | None = None, most: int = _MOST_BYTES) -> None:
        self._folder = folder
        self._left = ExitStack()
        self._most = most
        self._sizes: dict[Path, int] = {}
        self._count = 0
        self._ended = threading.Event()
        self._changed = threading.Condition()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def fetch(self, address: Address) -> tuple[Path, Version] | str:
        """The file at an address and its version, or the sentence that says why there is none.

        Waits for room. EOFError after `end`.

        Raises:
            OutputLost: the disk cannot be written.
        """
        try:
            path = self._reserved(address)
            try:
                version = self._tried(address, path)
                with self._changed:
                    self._sizes[path] = path.stat().st_size
            except BaseException:
                self.drop(path)
                raise
        except StoreError as error:
            self._check()  # what is deleted while it is written is no fault of the store
            return str(error)
        except OSError as error:
            self._check()
            raise OutputLost(f"{self._folder} cannot be written ({error.strerror})") from error
        if version is None:
            self.drop(path)
            return f"{address} changes while it is fetched: try again when it is whole"
        return path, version

    def drop(self, path: Path) -> None:
        """The file at `path` has been read."""
        with self._changed:
            if self._sizes.pop(path, None) is None:
                return
            self._changed.notify_all()
        with suppress(OSError):
            remove(path)

    def end(self) -> None:
        """Nothing more is fetched, and what was is deleted."""
        self._ended.set()
        with self._changed:
            self._changed.notify_all()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._left.close()

    def _reserved(self, address: Address) -> Path:
        """Where a file may be written, once there is room for it."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended.is_set() or sum(self._sizes.values()) < self._most
            )
            self._check()
            if self._folder is None:
                self._folder = self._left.enter_context(scratch("earshot-"))
            self._folder.mkdir(parents=True, exist_ok=True)
            self._count += 1
            path = self._folder / f"{self._count}{address.suffix}"
            self._sizes[path] = address.known[0] if address.known else 0
            return path

    def _check(self) -> None:
        if self._ended.is_set():
            raise EOFError

    def _tried(self, address: Address, path: Path) -> Version | None:
        for pause in _PAUSES_S:
            try:
                return address.fetch(path)
            except StoreError as error:
                if error.final or self._ended.wait(pause):
                    raise
        return address.fetch(path)
