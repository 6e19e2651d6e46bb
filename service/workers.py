"""Processes that work for this one: asked over sockets, killed at any time, replaced at once.

`multiprocessing` would import the program's main file again in every child, and its shared memory
has names that outlive a killed process and a size that containers bound to 64 MB. Here a child is
a plain process, and samples travel as descriptors of unnamed memory, which is gone with its last
holder however that ended.
"""

import array
import contextlib
import importlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from asr.errors import AsrError

_LENGTH = struct.Struct("!Q")
_MOST_FDS = 253  # what Linux lets through at a time


class WorkerDied(Exception):
    """The process ended before it had answered."""


class WorkerFailed(Exception):
    """The process could not do what it was asked, and goes on; the text is its traceback."""

    def __init__(self, kind: str, told: str) -> None:
        super().__init__(told)
        self.kind = kind
        """Name of the exception's type."""


class Memory:
    """Unnamed memory that processes share by its descriptor; gone when nobody holds it."""

    def __init__(self, fd: int | None = None) -> None:
        if fd is not None:
            self.fd = fd
        elif hasattr(os, "memfd_create"):
            self.fd = os.memfd_create("earshot")
        else:
            with tempfile.TemporaryFile() as file:
                self.fd = os.dup(file.fileno())

    def append(self, data: memoryview) -> None:
        """Write behind what is there."""
        while data:
            data = data[os.write(self.fd, data) :]

    def read(self, start: int, stop: int) -> bytes:
        """The bytes `[start, stop)`."""
        parts = []
        while start < stop and (part := os.pread(self.fd, stop - start, start)):
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def __del__(self) -> None:
        os.close(self.fd)


Answer: TypeAlias = tuple[Any, Sequence[Memory]]
Handler: TypeAlias = Callable[[Any, Sequence[Memory]], Answer]
"""What a worker does with a message and the memory that came with it."""


class Channel:
    """Messages, with memory, over a Unix socket; one side asks, the other answers in turn."""

    def __init__(self, socket: socket.socket) -> None:
        self._socket = socket

    def send(self, message: Any, memory: Sequence[Memory] = ()) -> None:
        """Hand over a message that can be pickled."""
        body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        fds = array.array("i", [held.fd for held in memory])
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if fds else []
        self._socket.sendmsg([_LENGTH.pack(len(body))], rights)
        self._socket.sendall(body)

    def receive(self) -> tuple[Any, list[Memory]]:
        """The next message; EOFError when the other side is gone."""
        head, fds, _, _ = socket.recv_fds(self._socket, _LENGTH.size, _MOST_FDS)
        memory = [Memory(fd) for fd in fds]
        if len(head) < _LENGTH.size:
            raise EOFError
        body = bytearray(_LENGTH.unpack(head)[0])
        left = memoryview(body)
        while left:
            count = self._socket.recv_into(left)
            if not count:
                raise EOFError
            left = left[count:]
        return pickle.loads(body), memory

    def close(self) -> None:
        """End it; whoever waits for a message gets EOFError."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Worker:
    """A child process; each of its channels has a thread of its own there.

    Args:
        target: `module:function` that, given `arguments` in the child, returns its Handler.
        channels: how many questions it may have at a time.
        environment: variables for the child, where the parent does not set them already.
        quiet: what its libraries print is dropped.
    """

    def __init__(
        self,
        target: str,
        channels: int,
        arguments: Any = None,
        environment: Mapping[str, str] = MappingProxyType({}),
        quiet: bool = False,
    ) -> None:
        pairs = [socket.socketpair() for _ in range(channels + 1)]
        fds = [theirs.fileno() for _, theirs in pairs]
        command = [sys.executable, "-P", "-c", "from service.workers import child; child()"]
        self._process = subprocess.Popen(
            [*command, target, *map(str, fds)],
            pass_fds=fds,
            env={**environment, **os.environ},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if quiet else None,
            start_new_session=True,  # Ctrl-C is for the parent, which ends its children in order
        )
        for _, theirs in pairs:
            theirs.close()
        # The first pair carries one message, then nothing: it ends when either side does.
        self._life, *self._channels = (Channel(ours) for ours, _ in pairs)
        with contextlib.suppress(OSError):  # a child that is gone already is seen at the first ask
            self._life.send(arguments)

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def ask(self, channel: int, message: Any, memory: Sequence[Memory] = ()) -> Answer:
        """What the worker answers; blocks. Each channel takes one question at a time.

        Raises:
            WorkerDied: it ended first.
            WorkerFailed: it raised an exception.
            AsrError: it raised this one.
        """
        try:
            self._channels[channel].send(message, memory)
            (outcome, answer), sent = self._channels[channel].receive()
        except (EOFError, OSError) as error:
            raise WorkerDied(f"worker {self.pid} ended") from error
        if outcome == "failed":
            raise WorkerFailed(*answer)
        if outcome == "refused":
            raise answer
        return answer, sent

    def kill(self) -> None:
        """End it now, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for channel in (self._life, *self._channels):
            channel.close()


def child() -> None:
    """The life of a worker process, whose arguments are the target and its sockets."""
    for ignored in (signal.SIGINT, signal.SIGTERM):  # its parent decides when it ends
        signal.signal(ignored, signal.SIG_IGN)
    target, *fds = sys.argv[1:]
    life, *channels = (Channel(socket.socket(fileno=int(fd))) for fd in fds)
    arguments, _ = life.receive()
    module, _, function = target.partition(":")
    handle: Handler = getattr(importlib.import_module(module), function)(arguments)
    for channel in channels:
        threading.Thread(target=_serve, args=(channel, handle), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        life.receive()
    os._exit(0)  # the parent is gone: nobody needs what is under way


def _serve(channel: Channel, handle: Handler) -> None:
    with contextlib.suppress(EOFError, OSError):  # the parent is gone, and this process with it
        while True:
            channel.send(*_answer(handle, *channel.receive()))


def _answer(handle: Handler, message: Any, memory: Sequence[Memory]) -> Answer:
    try:
        answer, sent = handle(message, memory)
        return ("done", answer), sent
    except AsrError as error:
        return ("refused", error), ()
    except Exception as error:
        return ("failed", (type(error).__name__, traceback.format_exc())), ()
