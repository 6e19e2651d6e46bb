"""Recordings -> audio, in separate processes: a file that crashes one affects no other."""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any, BinaryIO

from asr.audio import Audio, Limits, stream
from asr.audio.pieces import Samples
from asr.batch.inputs import Input
from asr.errors import AsrError
from asr.options import Selection

_TRIES = 2
"""A process may also be killed by others: a file counts as faulty after it has ended two."""
_PATIENCE_S = 300.0
"""Seconds that a process may read without producing audio, as in a decoder's endless loop or on a
disk that does not answer. A busy machine stays far below."""
_SIGN_S = 1.0
"""Seconds between two signs of life of a process."""


class Decoder:
    """A process that reads one recording at a time; it starts on first use."""

    def __init__(self, limits: Limits, selection: Selection = Selection()) -> None:
        self._options = limits, selection
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._changing = threading.Lock()

    def read(self, item: Input) -> tuple[Audio, ...] | str:
        """The recording's selected channels, or the sentence that says why there is none.

        A process that a file crashes is started anew. EOFError after `end`.
        """
        if item.problem is not None:
            return item.problem
        for _ in range(_TRIES):
            try:
                self._send(os.fspath(item.path))
                return self._receive()
            except TimeoutError:
                self.stop()
                return (
                    f"{item.path} gave no sound for {_PATIENCE_S:g} s and was given up: "
                    "check the disk, or convert it to wav or flac"
                )
            except (EOFError, OSError, pickle.UnpicklingError):
                if self._ended:
                    raise EOFError from None
                self.stop()
        return (
            f"{item.path} is damaged: the program that reads it stumbles; convert it to "
            "wav or flac, or record it again"
        )

    def end(self) -> None:
        """Ends the process for good; another thread that reads is told by an EOFError."""
        with self._changing:
            self._ended = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def stop(self) -> None:
        """Ends the process now, and waits until it has."""
        with self._changing:
            if self._process is None:
                return
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # what was not yet written to it
                        pipe.close()
            self._process.wait()
            self._process = None

    def _send(self, path: str) -> None:
        with self._changing:
            if self._ended:
                raise EOFError
            begins = self._process is None
            if begins:
                self._process = _started()
        if begins:
            self._write(self._options)
        self._write(path)

    def _write(self, message: object) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, which is noticed when it should answer
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def _receive(self) -> tuple[Audio, ...] | str:
        """The answer to what was sent; TimeoutError without a sign of life for too long."""
        assert self._process is not None and self._process.stdout is not None
        given_up = threading.Event()
        while True:
            patience = threading.Timer(_PATIENCE_S, _give_up, (self._process, given_up))
            patience.start()
            try:
                answer: tuple[Audio, ...] | str | None = pickle.load(self._process.stdout)
            except (EOFError, OSError, pickle.UnpicklingError):
                if given_up.is_set():
                    raise TimeoutError from None
                raise
            finally:
                patience.cancel()
            if answer is not None:
                return answer


def _give_up(process: subprocess.Popen[bytes], given_up: threading.Event) -> None:
    given_up.set()  # first: the end of the process is noticed at once
    process.kill()


def _started() -> subprocess.Popen[bytes]:
    # Not by multiprocessing, which would import the program's main file again.
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from asr.batch.decoders import child; child()"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # decoders print messages about damaged files
        start_new_session=True,  # Ctrl-C is for the parent
    )


def child() -> None:
    """The main loop of a decoding process: paths come in, audio or sentences go out."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    asked: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    try:
        limits, selection = asked.get()
        while True:
            _answer(asked.get(), limits, selection, answers)
    except OSError:
        os._exit(0)


def _listen(asked: "SimpleQueue[Any]") -> None:
    """Ends the process with its parent, also while it reads a recording of hours."""
    with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            asked.put(pickle.load(sys.stdin.buffer))
    os._exit(0)


def _answer(path: str, limits: Limits, selection: Selection, answers: BinaryIO) -> None:
    _write(_read(path, limits, selection, answers), answers)


def _write(answer: tuple[Audio, ...] | str | None, answers: BinaryIO) -> None:
    pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
    answers.flush()


def _read(
    path: str, limits: Limits, selection: Selection, answers: BinaryIO
) -> tuple[Audio, ...] | str:
    """The recording's selected channels, or why there are none."""
    try:
        return Audio.apart(_with_signs(stream(path, limits, selection=selection), answers))
    except AsrError as error:
        return str(error)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror}): check the disk"


def _with_signs(pieces: Iterator[Samples], answers: BinaryIO) -> Iterator[Samples]:
    """The pieces; None is written from time to time as a sign of life."""
    last = time.monotonic()
    for piece in pieces:
        if time.monotonic() >= last + _SIGN_S:
            last = time.monotonic()
            _write(None, answers)
        yield piece
