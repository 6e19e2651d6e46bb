"""Recordings -> audio, in separate processes: a file that crashes one affects no other."""

import contextlib
import math
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO, TypeAlias

from asr.audio import SAMPLE_RATE, Audio, Limits, Recording
from asr.audio.pieces import Samples
from asr.batch.inputs import Input
from asr.batch.starting import ended_early, started
from asr.errors import AsrError, BadAudio, BadMachine, in_brief
from asr.options import Selection

_TRIES = 2
"""A process may also be killed by others: a file counts as faulty after it has ended two."""
_STARTS = 3
_PAUSE_S = 0.5
_START_S = 120.0
"""Memory or processes may lack for a moment, and others may end one that has not yet begun: so many
starts are tried, with a pause between them, before the machine counts as unable. One that has not
loaded its libraries after so many seconds never will."""
_KILLED = -9
"""The exit code of a process that a system short of memory has killed."""
_PATIENCE_S = 300.0
"""Seconds that a process may read without producing audio, as in a decoder's endless loop or on a
disk that does not answer. A busy machine stays far below."""
_SIGN_S = 1.0
"""Seconds between two signs of life of a process."""


@dataclass(frozen=True)
class Long:
    """A recording that is too long to be held: it is read piece by piece, channel by channel."""

    channels: int


Answer: TypeAlias = tuple[Audio, ...] | Long | Audio | str | BadMachine | None
"""What a process says: () once it listens; the channels of a recording; that it is long; a piece of
a channel, and () after the last; a sentence if it cannot be read; what the machine lacks to read
anything like it; None as a sign of life."""


class _Died(Exception):
    """The process has ended, or says what nobody can read."""


class Decoder:
    """A process that reads one recording at a time; it starts on first use.

    Args:
        longest: seconds, of all channels that are read, up to which a recording is held as a whole.
    """

    def __init__(
        self, limits: Limits, selection: Selection = Selection(), longest: float = math.inf
    ) -> None:
        self._options = limits, selection, longest
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._changing = threading.Lock()

    def read(self, item: Input, file: Path | None = None) -> tuple[Audio, ...] | Long | str:
        """The recording's selected channels, or the sentence that says why there is none.

        A process that a file crashes is started anew.

        Args:
            file: holds the recording, if that was fetched from a store.

        Raises:
            BadMachine: no process can be started, or it lacks what reads the recording.
            EOFError: after `end`.
        """
        if item.problem is not None:
            return item.problem
        answer: tuple[Audio, ...] | Long | str = self.trying(
            item, lambda: self._ask(item, file, None)
        )
        return answer

    def pieces(self, item: Input, channel: int, file: Path | None = None) -> Generator[Audio]:
        """A channel of a long recording at its level, in pieces; `file` as of `read`.

        Raises:
            BadAudio: it cannot be read.
            BadMachine: as of `read`.
            Exception: its process has ended; `trying` asks again.
        """
        try:
            answer: Answer = self._ask(item, file, channel)
            while isinstance(answer, Audio):
                yield answer
                answer = self._receive()
        except BaseException:
            self.stop()  # what it has still to say is no answer to the next question
            raise
        if isinstance(answer, str):
            raise BadAudio(answer)

    def trying(self, item: Input, ask: Callable[[], Any]) -> Any:
        """What `ask` returns, or a sentence where it cannot be had.

        If it ends the process, it is asked again, of a new one.
        """
        for _ in range(_TRIES):
            try:
                return ask()
            except TimeoutError:
                self.stop()
                return (
                    f"{item.path} gave no sound for {_PATIENCE_S:g} s and was given up: "
                    "check the disk, or convert it to wav or flac"
                )
            except _Died:
                code = self._stopped()
        if code == _KILLED:
            return _out_of_memory(str(item.path))
        return (
            f"{item.path} is damaged: the program that reads it stumbles; convert it to "
            "wav or flac, or record it again"
        )

    def begin(self) -> None:
        """Starts the process if it does not run, and returns when it listens.

        Raises:
            BadMachine: none can be started.
            EOFError: after `end`.
        """
        for left in reversed(range(_STARTS)):
            try:
                return self._begin()
            except BadMachine:
                if not left:
                    raise
            except TimeoutError:
                self.stop()
                raise ended_early(None) from None
            except _Died:
                code = self._stopped()
                if not left or (code or 0) > 0:
                    raise ended_early(code) from None
            self._ending.wait(_PAUSE_S)

    def _begin(self) -> None:
        with self._changing:
            if self._ending.is_set():
                raise EOFError
            if self._process is not None:
                return
            self._process = started()
        self._write(self._options)
        self._receive(_START_S)

    def end(self) -> None:
        """Ends the process for good; another thread that reads is told by an EOFError."""
        with self._changing:
            self._ending.set()
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

    def _stopped(self) -> int | None:
        """Its exit code, once it is stopped; EOFError after `end`."""
        process = self._process
        self.stop()
        if self._ending.is_set():
            raise EOFError
        return None if process is None else process.returncode

    def _ask(self, item: Input, file: Path | None, channel: int | None) -> Any:
        """The first answer of the process; all of it if no channel is named."""
        self.begin()
        name = str(item.path)
        self._write((name if file is None else os.fspath(file), name, channel))
        return self._receive()

    def _write(self, message: object) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, which is noticed when it should answer
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def _receive(self, patience_s: float | None = None) -> Answer:
        """The next answer to what was sent.

        Raises:
            TimeoutError: there was no sign of life for too long.
            BadMachine: it lacks what reads the recording.
        """
        assert self._process is not None and self._process.stdout is not None
        given_up = threading.Event()
        while True:
            patience = threading.Timer(
                patience_s or _PATIENCE_S, _give_up, (self._process, given_up)
            )
            patience.start()
            try:
                answer: Answer = pickle.load(self._process.stdout)
            except (EOFError, OSError, pickle.UnpicklingError):
                raise (TimeoutError if given_up.is_set() else _Died) from None
            finally:
                patience.cancel()
            if isinstance(answer, BadMachine):
                raise answer
            if answer is not None:
                return answer


def _give_up(process: subprocess.Popen[bytes], given_up: threading.Event) -> None:
    given_up.set()  # first: the end of the process is noticed at once
    process.kill()


def child() -> None:
    """The main loop of a decoding process: paths come in, audio or sentences go out."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    asked: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    try:
        limits, selection, longest = asked.get()
        _write((), answers)
        while True:
            path, name, channel = asked.get()
            watch = partial(_with_signs, answers=answers)
            recording = Recording(path, selection, limits, watch, name)
            for answer in _answers(recording, name, channel, longest):
                _write(answer, answers)
    except OSError:
        os._exit(0)


def _listen(asked: "SimpleQueue[Any]") -> None:
    """Ends the process with its parent, also while it reads a recording of hours."""
    with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            asked.put(pickle.load(sys.stdin.buffer))
    os._exit(0)


def _write(answer: Answer, answers: BinaryIO) -> None:
    pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
    answers.flush()


def _answers(
    recording: Recording, name: str, channel: int | None, longest: float
) -> Iterator[Answer]:
    """The recording's selected channels, or the pieces of one of them."""
    try:
        if channel is None:
            yield _held(recording, longest)
        else:
            yield from map(Audio, recording.channel(channel))
            yield ()
    except BadMachine as error:
        yield error
    except AsrError as error:
        yield str(error)
    except OSError as error:
        yield f"{name} cannot be read ({error.strerror}): check the disk"
    except MemoryError:
        yield _out_of_memory(name)
    except Exception as error:  # a fault of ours
        yield f"{name} fails in the decoder ({in_brief(error)}): please report it"


def _out_of_memory(name: str) -> str:
    return (
        f"{name} was not read, since memory ran out: free some, lower --jobs, or convert it to wav "
        "or flac"
    )


def _held(recording: Recording, longest: float) -> tuple[Audio, ...] | Long:
    """The recording's channels, if it does not last too long to be held."""
    pieces: list[Samples] = []
    samples = 0
    with contextlib.closing(recording.pieces()) as coming:
        for piece in coming:
            pieces.append(piece)
            samples += piece.size
            if samples > longest * SAMPLE_RATE:
                return Long(piece.shape[1])
    return Audio.apart(pieces)


def _with_signs(pieces: Iterator[Samples], answers: BinaryIO) -> Iterator[Samples]:
    """The pieces; None is written from time to time as a sign of life."""
    last = time.monotonic()
    for piece in pieces:
        if time.monotonic() >= last + _SIGN_S:
            last = time.monotonic()
            _write(None, answers)
        yield piece
