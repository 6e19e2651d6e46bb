"""Printing: one line per item, and one sentence if stdout cannot be written."""

import errno
import io
import os
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TextIO, cast

from asr.files import readable

_INTERRUPTED, _TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
_TORN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of characters that end a line, control a terminal, or are not text."""


def one_line(text: str) -> str:
    """The text with line breaks and control characters escaped, as a file's name may have them."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _TORN else char
        for char in readable(text)
    )


@contextmanager
def stoppable(left: str | Callable[[], str]) -> Iterator[None]:
    """Says by the sentence `left` what Ctrl-C, or SIGTERM in training, leaves; exits with 130 or
    143, the shell's codes for them."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as end:
        code = end.code if isinstance(end, SystemExit) else _INTERRUPTED
        if code in (_INTERRUPTED, _TERMINATED):
            sys.stderr.write(f"asr: {left if isinstance(left, str) else left()}\n")
        raise SystemExit(code) from None


@contextmanager
def hushed() -> Iterator[None]:
    """A block in which nothing comes to stderr, such as what C libraries say of damaged files."""
    sys.stderr.flush()
    with ExitStack() as kept:
        with suppress(OSError):  # it is closed
            before, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 2)
            os.close(nothing)
            kept.callback(os.close, before)
            kept.callback(os.dup2, before, 2)
        yield


class Stdout:
    """Replaces `sys.stdout`, open, full or closed, and keeps the reason if writing fails."""

    def __init__(self) -> None:
        self.failure: OSError | None = None
        self._stream: TextIO = sys.stdout or _Closed()
        if sys.stderr is None:
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # until the process ends
        sys.stdout = cast(TextIO, self)

    def write(self, text: str) -> int:
        """Raises OSError as the stream does."""
        with self._noted():
            return self._stream.write(text)

    def flush(self) -> None:
        """Raises OSError as the stream does."""
        with self._noted():
            self._stream.flush()

    def end(self) -> OSError | None:
        """Flushes and restores stdout; returns why writing failed, now or earlier, or None."""
        with suppress(OSError):
            self.flush()
        if self.failure and not isinstance(self._stream, _Closed):
            # Otherwise Python tries again at exit and prints a message of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        sys.stdout = self._stream
        return self.failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = OSError(error.errno, error.strerror)  # without the frames, which live on
            raise


class _Closed(io.StringIO):
    """Replaces a stdout that was closed."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")
