"""What the benchmarks of the service share: a server of its own, clips, and an open-loop client."""

import asyncio
import io
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE, load

ROOT = Path(__file__).parent.parent
PATH = "/v1/transcribe"


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, and the id of its process."""

    host: str
    port: int
    pid: int

    def memory_bytes(self) -> int:
        """Resident memory of the process and of all its workers."""
        pids = [self.pid, *children(self.pid)]
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time of the process that answers, and of all its workers."""
        return {"http": _cpu_s(self.pid), "workers": sum(map(_cpu_s, children(self.pid)))}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(parent: int) -> list[int]:
    """Ids of a process' children."""
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/stat")
        if int(path.read_text().rpartition(")")[2].split()[1]) == parent
    ]


@contextmanager
def serving(bundle: str | None, device: str = "cpu", **settings: object) -> Iterator[Server]:
    """`asr serve` on a free port, ready; it ends with the context."""
    # All of the load comes from one address.
    asked = {"max_connections_per_address": 4096, **settings}
    given = {f"EARSHOT_{name.upper()}": str(value) for name, value in asked.items()}
    command = [sys.executable, "-c", "from asr.cli import main; main()", "serve"]
    command += ["--port", "0", "--device", device, *(["--bundle", bundle] if bundle else [])]
    environment = {**os.environ, "EARSHOT_LOG_FORMAT": "plain", **given}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        found = re.search(r"http://(.+):(\d+) ", process.stderr.readline())
        assert found, process.stderr.read()
        # Its log must not fill the pipe.
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        try:
            yield Server(found[1], int(found[2]), process.pid)
        finally:
            process.terminate()
            process.wait(60)
            drain.wait()


def clip(seconds: float, seed: int = 0) -> bytes:
    """Real speech of that length, from the shipped samples, as flac at 16 kHz."""
    paths = [path for path in (ROOT / "samples").iterdir() if path.suffix in (".opus", ".flac")]
    random.Random(seed).shuffle(paths)
    samples = np.concatenate([load(path).samples for path in sorted(paths)])
    file = io.BytesIO()
    shifted = np.roll(samples, seed * 7919)
    wave = np.resize(shifted, int(seconds * SAMPLE_RATE))
    soundfile.write(file, wave, SAMPLE_RATE, format="FLAC")
    return file.getvalue()


@dataclass(frozen=True)
class Answer:
    """What became of a request."""

    kind: str
    """Of clip."""
    status: int
    seconds: float
    """From when it was due to the last byte of its answer: waiting for the client counts."""
    answered_s: float
    """From the last byte of its body to the last of its answer."""
    text: bytes = b""
    """The answer's body, where its length was told."""


class Client:
    """Requests over connections that are kept and used again; nothing but what is needed."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(
        self, kind: str, body: bytes, due: float, path: str = PATH, content_type: str = ""
    ) -> Answer:
        """Send a clip; a connection that breaks counts as status 0."""
        try:
            reader, writer = await self._connected()
            head = f"POST {path} HTTP/1.1\r\nhost: benchmark\r\ncontent-length: {len(body)}\r\n"
            head += f"content-type: {content_type}\r\n\r\n" if content_type else "\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            sent = time.monotonic()
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = re.search(rb"content-length: (\d+)", answer)
            text = b""
            if length:
                text = await reader.readexactly(int(length[1]))
            else:
                await _chunks(reader)
        except (OSError, EOFError, asyncio.IncompleteReadError):
            return Answer(kind, 0, time.monotonic() - due, 0.0)
        self._idle.append((reader, writer))
        now = time.monotonic()
        return Answer(kind, int(answer[9:12]), now - due, now - sent, text)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # else the server has closed it, as it stood idle
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._server.host, self._server.port)

    def close(self) -> None:
        """Let go of the connections."""
        for _, writer in self._idle:
            writer.close()


async def _chunks(reader: asyncio.StreamReader) -> None:
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    await reader.readline()


async def open_loop(
    client: Client, mix: dict[str, tuple[float, bytes]], rate: float, seconds: float, seed: int
) -> list[Answer]:
    """Answers to clips that arrive as a Poisson process, whatever the server does.

    Args:
        mix: kind -> its share and the clip.
        rate: requests a second.
    """
    chance = random.Random(seed)
    kinds, shares = list(mix), [share for share, _ in mix.values()]
    began = due = time.monotonic()
    asked = []
    while (due := due + chance.expovariate(rate)) < began + seconds:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        (kind,) = chance.choices(kinds, shares)
        asked.append(asyncio.create_task(client.ask(kind, mix[kind][1], due)))
    return list(await asyncio.gather(*asked))
