"""Worker processes: they take requests over sockets and can be killed at any time.

`multiprocessing` would import the program's main file again in every child. Its shared memory has
names that outlive a killed process, and containers limit its size to 64 MB. Here a child is a plain
process, and samples travel as descriptors of unnamed memory, which is freed with its last holder
however that process ended.
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
from service.monitoring.tracebacks import places

_LENGTH = struct.Struct("!Q")
_MOST_FDS = 253  # Linux passes no more in one message


class WorkerDied(Exception):
    """The process ended before it answered."""


class WorkerLate(WorkerDied):
    """The process was killed because it had not answered within `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.seconds = seconds


class WorkerFailed(Exception):
    """The process failed on a request and goes on; the text is its traceback."""

    def __init__(self, kind: str, traceback: str, places: str) -> None:
        super().__init__(traceback)
        self.kind = kind
        """Name of the exception's type."""
        self.places = places
        """The traceback without messages, which may quote the request."""


class Memory:
    """Unnamed memory that processes share by its descriptor; freed when nobody holds it."""

    def __init__(self, fd: int | None = None) -> None:
        if fd is not None:
            self.fd = fd
        elif hasattr(os, "memfd_create"):
            self.fd = os.memfd_create("earshot")
        else:
            with tempfile.TemporaryFile() as file:
                self.fd = os.dup(file.fileno())

    def append(self, data: memoryview) -> None:
        """Write at the end."""
        while data:
            data = data[os.write(self.fd, data) :]

    def write(self, start: int, data: memoryview) -> None:
        """Overwrite from `start` on."""
        while data:
            count = os.pwrite(self.fd, data, start)
            start, data = start + count, data[count:]

    @property
    def size(self) -> int:
        """Bytes that have been written, by any process."""
        return os.fstat(self.fd).st_size

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
"""Takes a message and the memory that came with it, and gives the answer."""


class Channel:
    """Messages with memory over a Unix socket: one side asks, the other answers in order."""

    def __init__(self, socket: socket.socket) -> None:
        self._socket = socket

    def send(self, message: Any, memory: Sequence[Memory] = ()) -> None:
        """Send a message that can be pickled."""
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
        """Close it; whoever waits for a message gets EOFError."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Worker:
    """A child process with a thread for each channel.

    Args:
        target: `module:function`; called with `arguments` in the child, it returns a Handler.
        channels: number of requests that it can have at a time.
        environment: variables for the child, unless the parent's environment has them.
        quiet: drop what the libraries print to stderr.

    Raises:
        OSError: the system cannot start another process.
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
        fds = [child.fileno() for _, child in pairs]
        command = [sys.executable, "-P", "-c", "from service.engine.worker import child; child()"]
        try:
            self._process = subprocess.Popen(
                [*command, target, *map(str, fds)],
                pass_fds=fds,
                env={**environment, **os.environ},
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if quiet else None,
                start_new_session=True,  # Ctrl-C is for the parent, which ends its children itself
            )
        except OSError:
            for parent, _ in pairs:
                parent.close()
            raise
        finally:
            for _, child in pairs:
                child.close()
        self.life, *others = (parent for parent, _ in pairs)
        """A non-blocking socket. The child sends back what it gets while its interpreter runs; end
        of file means that the child ended."""
        self.life.setblocking(False)
        self._channels = [Channel(end) for end in others]
        with contextlib.suppress(OSError):  # a child that has ended is noticed at the first request
            self._channels[0].send(arguments)

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def ask(self, channel: int, message: Any, memory: Sequence[Memory] = ()) -> Answer:
        """The worker's answer; blocks. Each channel takes one request at a time.

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
        """End it, whatever it is doing, without waiting; callers of `ask` get WorkerDied."""
        self._process.kill()
        # Else it stays as a zombie; a thread waits, since a driver may hold it for long.
        threading.Thread(target=self._process.wait, daemon=True).start()
        with contextlib.suppress(OSError):
            self.life.shutdown(socket.SHUT_RDWR)
        for channel in self._channels:
            channel.close()

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, for at most `seconds`; whether it has.

        A process that hangs inside a driver may survive its kill.
        """
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def child() -> None:
    """Main function of a worker process; its arguments are the target and its sockets."""
    # The parent decides when it ends.
    for ignored in {"SIGINT", "SIGTERM", "SIGHUP"} & set(signal.Signals.__members__):
        signal.signal(signal.Signals[ignored], signal.SIG_IGN)
    target, *fds = sys.argv[1:]
    life, *sockets = (socket.socket(fileno=int(fd)) for fd in fds)
    channels = [Channel(end) for end in sockets]
    with contextlib.suppress(EOFError, OSError):
        arguments, _ = channels[0].receive()
        module, _, function = target.partition(":")
        handle: Handler = getattr(importlib.import_module(module), function)(arguments)
        for channel in channels:
            threading.Thread(target=_serve, args=(channel, handle), daemon=True).start()
        while beat := life.recv(64):
            life.sendall(beat)
    os._exit(0)  # the parent is gone: nobody needs the results


def _serve(channel: Channel, handle: Handler) -> None:
    with contextlib.suppress(EOFError, OSError):  # the parent is gone, and this process ends too
        while True:
            channel.send(*_answer(handle, *channel.receive()))


def _answer(handle: Handler, message: Any, memory: Sequence[Memory]) -> Answer:
    try:
        answer, sent = handle(message, memory)
        return ("done", answer), sent
    except AsrError as error:
        return ("refused", error), ()
    except Exception as error:
        return ("failed", (type(error).__name__, traceback.format_exc(), places(error))), ()
