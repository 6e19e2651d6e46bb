"""Does the service hold? Mutated files and texts by the hundred thousand, against a live server.

    OMP_NUM_THREADS=1 python benchmarks/fuzz.py --files 100000

Half a second of real speech in ten formats is damaged in the ways that files are damaged and
forged in the ways that attackers forge them, one to three at a time; number and seed make a file,
so that every file can be made again. A file may be read (200), or refused by its length (413) or
its content (415): any other answer, none within a minute, or a server that is not ready at the end
is a fault, and the run ends with 1. Decoders that a file kills are counted: the server replaces
them. Prints resident memory over time, and the slowest files.

Every other file comes in a form, with texts that are long and made of what is slow to read, among
them bytes that are no text; such a form may be refused by its fields too (400, 404, 422). Some are
jobs, each of which must have ended at the end, and some are texts to align. All the while another
client asks for `/health/live`, where five seconds without an answer are a fault.
"""

import argparse
import asyncio
import io
import random
import struct
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import av
import numpy as np
import soundfile
from load import PATH, Answer, Client, Server, clip, serving

from asr.audio import SAMPLE_RATE, load
from service.api.fields import SPEAKERS, WITHOUT_EFFECT, TranscriptionForm

AT_ONCE = 8
HANG_S = 60.0
LIVE_S = 5.0
JOBS_S = 600.0
ALLOWED = {200, 413, 415}
ALLOWED_FORMS = ALLOWED | {202, 400, 404, 422}
FORMS = ("/v1/audio/transcriptions", "/v1/jobs", "/v1/audio/transcriptions", "/v1/align")
RECORDINGS = (PATH, PATH, PATH, "/v1/vad")
FIELDS = ("prompt", "prompt", "hotwords", "keywords[]", *TranscriptionForm.model_fields)
FIELDS += ("text", "text", *WITHOUT_EFFECT, *SPEAKERS)
VALUES = ("", "1", "en", "beam", "greedy", "true", "json", "text", "srt", "vtt", "verbose_json")
PATTERNS = (".", "!?", "Ab ", "\"'I'", "[[a", "A,", "9", "-", "en-", "\u0345", "\u0334", "a\u0301")
PATTERNS += (
    " ",
    "\r\n",
    "\r\n--",
    "--fuzz",
    "\0",
    "\x1b[2J",
    "\u2028",
    "ﬃ",
    "界",
    "%",
    "=&;",
    "\ud800",
)
LONGEST_TEXT = 130_000
WRITTEN = (  # by libsndfile
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "MS_ADPCM"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("AIFF", "PCM_16"),
)
MUXED = (("ipod", "aac"), ("webm", "libopus"))  # by FFmpeg: m4a and webm
TAGS = (b"fmt ", b"data", b"OggS", b"fLaC", b"OpusHead", b"vorbis", b"COMM", b"SSND", b"ID3")
TAGS += (b"Xing", b"Info", b"moov", b"mdhd", b"stsd", b"stsz", b"stco", b"mp4a", b"\x1aE\xdf\xa3")
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)


def originals() -> list[bytes]:
    """The files that are mutated."""
    samples = load(clip(0.5)).samples
    files = []
    for format, subtype in WRITTEN:
        file = io.BytesIO()
        soundfile.write(file, samples, SAMPLE_RATE, format=format, subtype=subtype)
        files.append(file.getvalue())
    return files + [_muxed(samples, container, codec) for container, codec in MUXED]


def _muxed(samples: np.ndarray, container: str, codec: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        fit = av.AudioResampler(stream.format, "mono", 48_000, stream.codec_context.frame_size)
        for ready in [*fit.resample(frame), *fit.resample(None)]:
            out.mux(stream.encode(ready))
        out.mux(stream.encode(None))
    return file.getvalue()


Mutation = Callable[[random.Random, bytearray, list[bytes]], bytearray]


def _place(chance: random.Random, size: int) -> int:
    """Somewhere in a file, every other time in what may be its header."""
    return chance.randrange(max(1, min(size, 200) if chance.random() < 0.5 else size))


def _slice(chance: random.Random, body: bytes | bytearray) -> slice:
    start = _place(chance, len(body))
    return slice(start, start + int(2 ** chance.uniform(0, 11)))


def flipped(chance: random.Random, body: bytearray, _: list[bytes]) -> bytearray:
    """Single bits are wrong."""
    for _ in range(chance.choice((1, 4, 32))):
        if body:
            body[_place(chance, len(body))] ^= 1 << chance.randrange(8)
    return body


def truncated(chance: random.Random, body: bytearray, _: list[bytes]) -> bytearray:
    """The end is missing."""
    return body[: _place(chance, len(body))]


def lost(chance: random.Random, body: bytearray, _: list[bytes]) -> bytearray:
    """A piece is missing."""
    del body[_slice(chance, body)]
    return body


def repeated(chance: random.Random, body: bytearray, _: list[bytes]) -> bytearray:
    """A piece stands there several times."""
    piece = _slice(chance, body)
    body[piece.start : piece.start] = body[piece] * chance.choice((1, 2, 20))
    return body


def blanked(chance: random.Random, body: bytearray, _: list[bytes]) -> bytearray:
    """A piece is all zeros, all ones, or noise."""
    piece = _slice(chance, body)
    size = len(body[piece])
    body[piece] = chance.choice((bytes(size), b"\xff" * size, chance.randbytes(size)))
    return body


def spliced(chance: random.Random, body: bytearray, files: list[bytes]) -> bytearray:
    """A piece is another file's."""
    other = chance.choice(files)
    piece = _slice(chance, other)
    start = _place(chance, len(body))
    body[start : start + chance.choice((0, piece.stop - piece.start))] = other[piece]
    return body


def swapped(chance: random.Random, body: bytearray, files: list[bytes]) -> bytearray:
    """One format's header, another's contents."""
    other = chance.choice(files)
    return bytearray(other[: chance.choice((4, 12, 44, 100, 400))]) + body[_place(chance, 200) :]


def forged(chance: random.Random, body: bytearray, _: list[bytes]) -> bytearray:
    """Fields of a header say what cannot be: sizes, rates, channels, lengths."""
    for _ in range(chance.choice((1, 1, 3))):
        found = [at for tag in TAGS if (at := body.find(tag)) >= 0]
        start = chance.choice(found) if found and chance.random() < 0.7 else 0
        value, size = chance.choice(EXTREMES), chance.choice("BHI")
        width = struct.calcsize(size)
        start = min(start + chance.randrange(48), max(0, len(body) - width))
        packed = struct.pack(chance.choice("<>") + size, value % 256**width)
        body[start : start + width] = packed
    return body


MUTATIONS: tuple[Mutation, ...] = (flipped, truncated, lost, repeated, blanked, spliced, swapped)
MUTATIONS += (forged, forged)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 2**31 else 0)) & 0xFFFFFFFF
        table.append(crc)
    return table


_CRC = _crc_table()


def resealed(body: bytearray) -> bytearray:
    """An Ogg file whose pages' checksums are right (RFC 3533): else its damage is never read."""
    at = body.find(b"OggS")
    while at >= 0 and at + 27 <= len(body):
        lacing = body[at + 27 : at + 27 + body[at + 26]]
        stop = at + 27 + len(lacing) + sum(lacing)
        body[at + 22 : at + 26] = bytes(4)
        crc = 0
        for byte in body[at:stop]:
            crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
        body[at + 22 : at + 26] = struct.pack("<I", crc)
        at = body.find(b"OggS", stop)
    return body


def mutated(number: int, seed: int, files: list[bytes]) -> bytes:
    """File `number` of a run."""
    chance = random.Random(f"{seed}/{number}")
    body = bytearray(chance.choice(files))
    for _ in range(chance.choice((1, 1, 2, 3))):
        body = chance.choice(MUTATIONS)(chance, body, files)
    return bytes(resealed(body) if chance.random() < 0.7 else body)


def text(chance: random.Random) -> bytes:
    """What is slow to read, hard to print, or no text at all; now and then a right value."""
    if chance.random() < 0.3:
        return chance.choice(VALUES).encode()
    found = b""
    size = int(2 ** chance.uniform(0, 17))
    while len(found) < size:
        pattern = chance.choice(PATTERNS).encode(errors="surrogatepass")
        found += pattern * max(1, int(chance.random() ** 3 * size / len(pattern)))
    if chance.random() < 0.1:
        found += chance.randbytes(8)
    return found[:LONGEST_TEXT]


def form(chance: random.Random, body: bytes) -> bytes:
    """A form with the file and some texts, whose boundary is `fuzz`."""
    parts = []
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        name = chance.choice(FIELDS).encode()
        if chance.random() < 0.05:
            name = text(chance)[:3000]
        parts.append((b'name="%b"' % name, text(chance)))
    name = text(chance)[:1000] if chance.random() < 0.2 else b"clip"
    parts.insert(chance.randrange(len(parts) + 1), (b'name="file"; filename="%b"' % name, body))
    head = b"--fuzz\r\ncontent-disposition: form-data; "
    return b"".join(b"%b%b\r\n\r\n%b\r\n" % (head, *part) for part in parts) + b"--fuzz--\r\n"


class Run:
    """What is seen while files are sent."""

    def __init__(self, server: Server, options: argparse.Namespace) -> None:
        self._server = server
        self._options = options
        self.statuses: Counter[int] = Counter()
        self.slowest: list[tuple[float, int]] = []
        self.memory: list[int] = []
        self.faults: list[str] = []
        self.longest_silence = 0.0

    async def work(self) -> None:
        """Send all files, some at a time, and ask all the while whether the server is alive."""
        watching = asyncio.create_task(self._watch())
        await self._send()
        watching.cancel()

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            is_alive = await alive(self._server)
            silence = time.monotonic() - began
            self.longest_silence = max(self.longest_silence, silence)
            if not is_alive or silence > LIVE_S:
                self.faults.append(f"/health/live took {silence:.1f} s")
            await asyncio.sleep(0.05)

    async def _send(self) -> None:
        client, files = Client(self._server), originals()
        left = iter(range(self._options.first, self._options.first + self._options.files))

        async def send() -> None:
            for number in left:
                body = mutated(number, self._options.seed, files)
                where = (RECORDINGS[number // 2 % 4], "")
                if number % 2:
                    body = form(random.Random(f"{self._options.seed}/{number}/form"), body)
                    where = (FORMS[number // 2 % 4], "multipart/form-data; boundary=fuzz")
                try:
                    async with asyncio.timeout(HANG_S):
                        answer = await client.ask("", body, time.monotonic(), *where)
                except TimeoutError:
                    answer = Answer("", 0, HANG_S, HANG_S)
                self._note(number, body, answer, ALLOWED_FORMS if number % 2 else ALLOWED)
                if self.statuses.total() % max(1, self._options.files // 10) == 0:
                    await asyncio.to_thread(self._report, self.statuses.total())

        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
        client.close()

    def _note(self, number: int, body: bytes, answer: Answer, allowed: set[int]) -> None:
        self.statuses[answer.status] += 1
        self.slowest = sorted([*self.slowest, (answer.seconds, number)], reverse=True)[:5]
        stumbled = b"stumbles" in answer.text
        if answer.status not in allowed:
            self.faults.append(f"file {number} was answered with {answer.status or 'nothing'}")
        if (stumbled or answer.status not in allowed) and (folder := self._options.keep):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{self._options.seed}-{number}").write_bytes(body)

    def wait_for_jobs(self) -> None:
        """Return once every job has ended, each of those that were accepted once."""
        until = time.monotonic() + JOBS_S
        while metric(self._server, "earshot_jobs{") and time.monotonic() < until:
            time.sleep(0.2)
        ended = metric(self._server, "earshot_jobs_ended_total")
        if ended != self.statuses[202]:
            self.faults.append(f"{self.statuses[202]} jobs were accepted, {ended:.0f} have ended")

    def _report(self, done: int) -> None:
        self.memory.append(self._server.memory_bytes())
        replaced = metric(self._server, 'earshot_worker_restarts_total{kind="decoder"')
        print(
            f"{done:6d} files: {self.memory[-1] / 2**20:.0f} MB, {replaced:.0f} decoders "
            f"replaced, {len(self.faults)} faults",
            flush=True,
        )


async def alive(server: Server) -> bool:
    """Whether the server answers."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"GET /health/live HTTP/1.1\r\nhost: fuzz\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")


def metric(server: Server, name: str) -> float:
    """One figure of the server's, 0 where it has none yet."""
    with urllib.request.urlopen(f"http://{server.host}:{server.port}/metrics") as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def leave(memory: list[int], faults: list[str]) -> NoReturn:
    """Print how much memory grew, and the faults; exit with 1 if there are some."""
    if len(memory) > 1:
        growth = 100 * (memory[-1] / memory[0] - 1)
        print(f"growth after the first tenth: {growth:+.1f} %")
    for fault in faults[:20]:
        print(fault)
    sys.exit(1 if faults else 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--bundle", help="folder; else the one that ships")
    parser.add_argument("--keep", type=Path, help="folder for the files that kill a decoder or err")
    options = parser.parse_args()
    began = time.monotonic()
    # Nothing is refused for want of time, so that every 5xx is a fault.
    limits = {"deadline_s": 3600, "decode_timeout_s": 20, "max_seconds": 60}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(options.bundle, **limits, jobs_max_seconds=60, jobs_folder=folder) as server,
    ):
        run = Run(server, options)
        asyncio.run(run.work())
        run.wait_for_jobs()
    rate = options.files / (time.monotonic() - began)
    print(f"{rate:.0f} files a second; statuses {dict(sorted(run.statuses.items()))}")
    slowest = (f"{1000 * seconds:.0f} ms ({number})" for seconds, number in run.slowest)
    print(f"slowest answers (file): {', '.join(slowest)}")
    print(f"longest wait for /health/live: {1000 * run.longest_silence:.0f} ms")
    leave(run.memory, run.faults)


if __name__ == "__main__":
    main()
