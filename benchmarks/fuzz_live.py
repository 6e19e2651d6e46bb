"""Does a live session hold? Wrong events, broken frames and clients that go, by the thousand.

    OMP_NUM_THREADS=1 python benchmarks/fuzz_live.py --sessions 2000

Number and seed make a session, so that each can be made again. It sends sound in pieces of any size
and events in any order; among them are messages that are no event (other types, missing, unknown
and impossible fields, broken base64, bytes, JSON that is deep or huge), each of which must be
answered by one error event that says what is wrong, and the session must go on. Then it ends: with
a frame that no client may send, where the server must close with a reason; with a close; or by a
connection that breaks, is half closed, or is not read any more. Any other error, a session that is
closed before its time, a server that is not alive for five seconds, and sessions that it still
counts at the end are faults, and the run ends with 1. Prints resident memory over time.
"""

import argparse
import asyncio
import base64
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from fuzz import HANG_S, LIVE_S, alive, leave, metric
from load import Server, clip, serving
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from asr.audio import load

AT_ONCE = 8
MOST_SESSIONS = 64
"""A session whose client has gone is counted until the server has let go of it."""
MOST_STEPS = 12
LAST = "the last"
EMPTY = "input_audio_buffer_commit_empty"
"""The error of a commit where no turn is open: whether one is, the client cannot know."""
UPDATE, APPEND, COMMIT = (
    "session.update", "input_audio_buffer.append", "input_audio_buffer.commit",
)  # fmt: skip
NO_TEXT: tuple[Any, ...] = (0, -1, 1e308, True, "\ud800", [], [[]], {"a": {}})
MISFITS: tuple[dict[str, Any], ...] = (
    {"type": APPEND},
    {"type": UPDATE},
    {"type": APPEND, "audio": None},
    {"type": APPEND, "audio": "", "x": 1},
    *({"type": APPEND, "audio": value} for value in NO_TEXT),
    *({"type": UPDATE, "session": value} for value in NO_TEXT),
    *({"type": COMMIT, "event_id": value} for value in NO_TEXT),
    *({"type": COMMIT, "x": value} for value in NO_TEXT),
)
INPUTS: tuple[Any, ...] = (
    {"format": {"type": "audio/pcm", "rate": 8000}},
    {"format": {"type": "audio/pcmu", "rate": 16000}},
    {"transcription": {"model": "none"}},
    {"transcription": {"language": "xx"}},
    {"transcription": {"beam_size": 10**9}},
    {"transcription": {"hotwords": ["x" * 300]}},
    {"turn_detection": {"type": "server_vad", "threshold": 7}},
    {"turn_detection": {"type": "semantic_vad"}},
    {"noise_reduction": 5},
    {"none": 1},
)
BASE64 = ("%%%%", "AAA", "AA==AA==", "A A A A", "AAAA\n", "ÄÖÜß", "====", "\0\0\0\0", "_-_-")
UNREADABLE = ("", " ", "{", "nul", "[]", "7", '"x"', "null", "NaN", "{'type': 1}", '{"a":1}x', "\0")

Wrong = Callable[[random.Random], str | bytes]


def unreadable(chance: random.Random) -> str:
    """No object in JSON."""
    return chance.choice(UNREADABLE)


def binary(chance: random.Random) -> bytes:
    """Bytes, where text is expected."""
    return chance.randbytes(chance.choice((0, 1, 100, 100_000)))


def untyped(chance: random.Random) -> str:
    """An event of no type that is known."""
    kind = chance.choice((*NO_TEXT, None, "", "response.create", f"{UPDATE} ", UPDATE.upper()))
    return json.dumps({"type": kind, "audio": "AAAA"})


def misfit(chance: random.Random) -> str:
    """An event with a field that is missing, unknown, or of another type."""
    return json.dumps(chance.choice(MISFITS))


def unencoded(chance: random.Random) -> str:
    """Sound that is not in base64."""
    return json.dumps({"type": APPEND, "audio": chance.choice(BASE64)})


def impossible(chance: random.Random) -> str:
    """A configuration that cannot be."""
    return json.dumps({"type": UPDATE, "session": {"audio": {"input": chance.choice(INPUTS)}}})


def huge(chance: random.Random) -> str:
    """Deep, long, or full of names."""
    size = chance.choice((1_000, 30_000, 100_000))
    made: tuple[Callable[[], str], ...] = (
        lambda: "[" * size,
        lambda: '{"type":' * size,
        lambda: json.dumps({"type": "x" * size}),
        lambda: json.dumps({"type": COMMIT, "event_id": "\u00e9" * size}),
        lambda: json.dumps({"type": UPDATE, "session": {f"x{at}": at for at in range(size // 10)}}),
        lambda: json.dumps({"type": APPEND, "audio": "*" * size}),
    )
    return chance.choice(made)()


WRONG: tuple[Wrong, ...] = (unreadable, binary, untyped, misfit, unencoded, impossible, huge)


def right(chance: random.Random, speech: bytes) -> str:
    """An event that is none of an error, but for a commit where no turn is open."""
    start = chance.randrange(len(speech))
    piece = speech[start : start + chance.choice((0, 1, 3, 3_201, 32_000, 64_000))]
    sound = {"type": APPEND, "audio": base64.b64encode(piece).decode(), "event_id": "\u00e9" * 9}
    detection = chance.choice((None, {"type": "server_vad", "silence_duration_ms": 200}))
    update = {"type": UPDATE, "session": {"audio": {"input": {"turn_detection": detection}}}}
    others = (update, {"type": COMMIT}, {"type": "input_audio_buffer.clear"})
    return json.dumps(sound if chance.random() < 0.7 else chance.choice(others))


DEADLY = (
    Frame(Opcode.TEXT, b"\xff\xfe\xfd").serialize(mask=True),
    Frame(Opcode.TEXT, b"{}").serialize(mask=False),
    Frame(Opcode.CONT, b"{}").serialize(mask=True),
    b"\x83\x80" + bytes(4),  # no such opcode
    b"\x89\xfe\x01\x00" + bytes(260),  # a ping that is too long
    b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4),
    b"GET / HTTP/1.1\r\n\r\n",
)
"""Frames after which a server must close."""
CLOSES = {1002, 1007, 1009}


class Run:
    """What is sent, and what came back."""

    def __init__(self, server: Server, options: argparse.Namespace) -> None:
        self._server = server
        self._options = options
        self._address = f"ws://{server.host}:{server.port}/v1/realtime?model=gpt-live-transcribe"
        samples = load(clip(8.0)).samples
        self._speech = (samples * 32767).astype("<i2").tobytes()
        self.seen: Counter[str] = Counter()
        self.faults: list[str] = []
        self.memory: list[int] = []

    async def work(self) -> None:
        """All sessions, some at a time; all the while the server must be alive."""
        watching = asyncio.create_task(self._watch())
        left = iter(range(self._options.first, self._options.first + self._options.sessions))
        await asyncio.gather(*(self._follow(left) for _ in range(AT_ONCE)))
        watching.cancel()

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            is_alive = await alive(self._server)
            silence = time.monotonic() - began
            if not is_alive or silence > LIVE_S:
                self.faults.append(f"/health/live took {silence:.1f} s")
            await asyncio.sleep(0.05)

    async def _follow(self, numbers: Iterator[int]) -> None:
        tenth = max(1, self._options.sessions // 10)
        for number in numbers:
            try:
                async with asyncio.timeout(HANG_S):
                    await self._session(number)
            except Exception as error:
                self.faults.append(f"session {number}: {type(error).__name__} {error}")
            self.seen["sessions"] += 1
            if self.seen["sessions"] % tenth == 0:
                await asyncio.to_thread(self._report, self.seen["sessions"])

    async def _session(self, number: int) -> None:
        chance = random.Random(f"{self._options.seed}/{number}")
        async with connect(self._address, max_size=None, compression=None) as socket:
            reading = asyncio.create_task(self._told(socket))
            wrong = await self._send(chance, socket)
            told = await reading
            if len(told) != wrong or not all(map(_is_clear, told)):
                self.faults.append(f"session {number}: {wrong} wrong events, but {told}")
            await self._end(chance, socket)

    async def _send(self, chance: random.Random, socket: ClientConnection) -> int:
        """Send events in any order; how many of them are wrong."""
        wrong = 0
        for _ in range(chance.randrange(MOST_STEPS)):
            is_wrong = chance.random() < 0.5
            message = chance.choice(WRONG)(chance) if is_wrong else right(chance, self._speech)
            await socket.send(message)
            wrong += is_wrong
        await socket.send(json.dumps({"type": LAST, "event_id": LAST}))
        return wrong

    async def _told(self, socket: ClientConnection) -> list[dict[str, Any]]:
        """The errors before that about the last event: they come in the order of the events."""
        told = []
        async for message in socket:
            event = json.loads(message)
            self.seen[event["type"].rpartition(".")[2]] += 1
            if event["type"].endswith("failed"):
                self.faults.append(f"a turn failed: {event['error']}")
            if event["type"] == "error" and event["error"]["event_id"] == LAST:
                break
            if event["type"] == "error" and event["error"]["code"] != EMPTY:
                told.append(event["error"])
        return told

    async def _end(self, chance: random.Random, socket: ClientConnection) -> None:
        """End the session in one of the ways in which clients do."""
        way = chance.choice(("close", "abort", "half", "deaf", "torn", "deadly", "deadly"))
        self.seen[way] += 1
        transport = socket.transport
        if way == "close":
            await socket.close()
        elif way == "half":
            transport.write_eof()
            await _closed(socket)
        elif way == "deadly":
            transport.write(chance.choice(DEADLY))
            code = await _closed(socket)
            if code not in CLOSES:
                self.faults.append(f"a frame that no client may send ended with {code}")
        else:
            if way == "deaf":
                transport.pause_reading()
                for _ in range(5):
                    transport.write(_frame(right(chance, self._speech)))
            elif way == "torn":
                whole = _frame(right(chance, self._speech))
                transport.write(whole[: chance.randrange(1, len(whole))])
            await asyncio.sleep(chance.uniform(0, 0.1))
            transport.abort()

    def wait_for_the_end(self) -> None:
        """Return once the server counts no session."""
        until = time.monotonic() + HANG_S
        while (left := metric(self._server, "earshot_live_sessions ")) and time.monotonic() < until:
            time.sleep(0.1)
        if left:
            self.faults.append(f"{left:.0f} sessions are still open")

    def _report(self, done: int) -> None:
        self.memory.append(self._server.memory_bytes())
        print(
            f"{done:6d} sessions: {self.memory[-1] / 2**20:.0f} MB, {len(self.faults)} faults",
            flush=True,
        )


def _frame(text: str) -> bytes:
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=True)


def _is_clear(error: dict[str, Any]) -> bool:
    return error["type"] == "invalid_request_error" and bool(error["code"] and error["message"])


async def _closed(socket: ClientConnection) -> int | None:
    """The code with which the server closes."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as error:
        return None if error.rcvd is None else error.rcvd.code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=400)
    parser.add_argument("--first", type=int, default=0, help="number of the first session")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--bundle", help="folder; else the one that ships")
    options = parser.parse_args()
    began = time.monotonic()
    with serving(options.bundle, deadline_s=3600, live_sessions=MOST_SESSIONS) as server:
        run = Run(server, options)
        asyncio.run(run.work())
        run.wait_for_the_end()
    rate = options.sessions / (time.monotonic() - began)
    print(f"{rate:.0f} sessions a second; {dict(sorted(run.seen.items()))}")
    leave(run.memory, run.faults)


if __name__ == "__main__":
    main()
