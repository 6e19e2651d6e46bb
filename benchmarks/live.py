"""Live sessions: how soon words are shown and settled, and how often they change.

    python benchmarks/live.py --sessions 1 5 10 20 --seconds 30 [--manifest dev-librispeech.jsonl]

Each session plays clips at real time in messages of 100 ms, with 1.5 s of faint noise between them.
Delays count from when the message with the sound was sent: of a word from its end, as the final
text has it, to when a word is shown in its place, to when it is the right one, and to when it is
settled; of a turn's text from when the pause behind it is as long as ends a turn. The client runs
beside the server and takes its share of the CPU, which is printed. Sessions that are refused are
counted by their reason. "CPU ms/s" is the time of the CPU that the server's first process and its
workers take for a second of sound, silence included, of a session that is served.
"""

import argparse
import asyncio
import base64
import json
import random
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from load import ROOT, Server, serving
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from asr.audio import SAMPLE_RATE, load
from asr.corpus import read_manifest

MESSAGE = SAMPLE_RATE // 10
SILENCE_S = 0.5
PADDING_S = 0.3
BETWEEN_S = 1.5
COLUMNS = (
    "offered", "served", "words", "shown ms", "right ms", "settled ms", "final ms",
    "shown words changed %", "settled words wrong %", "CPU ms/s", "refused",
)  # fmt: skip


@dataclass
class Seen:
    """What a client saw of one turn."""

    settled: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    shown_at: list[float] = field(default_factory=list)
    """When a word was first shown in each place."""
    right_at: dict[tuple[int, str], float] = field(default_factory=dict)
    """Place and word -> when it was first shown there."""
    settled_at: list[float] = field(default_factory=list)
    stopped: float = 0.0
    """Second of the stream."""


@dataclass
class Figures:
    """What was measured of all sessions."""

    shown: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)
    words: int = 0
    changed: int = 0
    """Words that another took the place of while they were shown, of `looked` at."""
    looked: int = 0
    wrong: int = 0
    """Settled words that the final text does not have, of `kept`."""
    kept: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """Of sound that was sent."""


class Player:
    """One session."""

    def __init__(self, figures: Figures, samples: np.ndarray) -> None:
        self._figures = figures
        self._samples = samples
        self._sent: list[float] = []  # when each message was sent
        self._seen: dict[str, Seen] = {}

    async def play(self, server: Server) -> None:
        """Play all of it and follow what comes."""
        url = f"ws://{server.host}:{server.port}/v1/realtime"
        try:
            async with connect(url, compression=None) as socket:
                session = {"type": "transcription", "audio": {"input": {"format": {"rate": 16000}}}}
                await socket.send(json.dumps({"type": "session.update", "session": session}))
                following = asyncio.create_task(self._follow(socket))
                await self._send(socket)
                await asyncio.sleep(1.0)
                following.cancel()
        except InvalidStatus as error:
            self._figures.refused[json.loads(error.response.body)["error"]["code"]] += 1
        except ConnectionClosed as error:
            self._figures.refused[str(error)] += 1

    async def _send(self, socket: ClientConnection) -> None:
        began = time.monotonic()
        data = (self._samples * 32767).astype("<i2").tobytes()
        for number, at in enumerate(range(0, len(data), 2 * MESSAGE), start=1):
            await asyncio.sleep(max(0.0, began + number / 10 - time.monotonic()))
            audio = base64.b64encode(data[at : at + 2 * MESSAGE]).decode()
            self._sent.append(time.monotonic())
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            self._figures.seconds += MESSAGE / SAMPLE_RATE

    def _since(self, second: float, now: float) -> float:
        """The delay from when that second of the stream was sent."""
        message = min(len(self._sent) - 1, int(second * SAMPLE_RATE / MESSAGE))
        return now - self._sent[message]

    async def _follow(self, socket: ClientConnection) -> None:
        async for message in socket:
            event, now = json.loads(message), time.monotonic()
            kind = event["type"].rpartition(".")[2]
            if "item_id" not in event:
                continue
            seen = self._seen.setdefault(event["item_id"], Seen())
            if kind == "delta":
                self._on_delta(seen, event, now)
            elif kind == "speech_stopped":
                seen.stopped = event["audio_end_ms"] / 1000
            elif kind == "completed":
                self._on_completed(seen, event, now)

    def _on_delta(self, seen: Seen, event: dict[str, Any], now: float) -> None:
        seen.settled += plain(event["delta"])
        seen.settled_at += [now] * (len(seen.settled) - len(seen.settled_at))
        shown = [*seen.settled, *plain(event["tentative"])]
        figures = self._figures
        figures.looked += len(seen.shown)
        figures.changed += sum(a != b for a, b in zip(seen.shown, shown, strict=False))
        seen.shown = shown
        seen.shown_at += [now] * (len(shown) - len(seen.shown_at))
        for place in enumerate(shown):
            seen.right_at.setdefault(place, now)

    def _on_completed(self, seen: Seen, event: dict[str, Any], now: float) -> None:
        figures = self._figures
        figures.final.append(self._since(seen.stopped + SILENCE_S - PADDING_S, now))
        words = event["words"]
        final = plain(event["transcript"])
        if len(final) != len(words):
            return  # several words are one number
        figures.words += len(final)
        figures.kept += len(seen.settled)
        same = SequenceMatcher(None, seen.settled, final, autojunk=False)
        figures.wrong += len(seen.settled) - sum(block.size for block in same.get_matching_blocks())
        for place, (text, word) in enumerate(zip(final, words, strict=True)):
            right = seen.right_at.get((place, text), now)
            figures.right.append(self._since(word["end"], right))
            figures.shown.append(self._since(word["end"], nth(seen.shown_at, place, now)))
            figures.settled.append(self._since(word["end"], nth(seen.settled_at, place, now)))


def nth(times: list[float], place: int, otherwise: float) -> float:
    """The time of that place."""
    return times[place] if place < len(times) else otherwise


def plain(text: str) -> list[str]:
    """The words, without marks and capitals."""
    return ["".join(filter(str.isalnum, word)).lower() for word in text.split()]


def streams(paths: list[Path], count: int, seconds: float, seed: int) -> list[np.ndarray]:
    """Clips one after another, with faint noise between them, of that length, for each session."""
    chance, noise = random.Random(seed), np.random.default_rng(seed)
    made = []
    for _ in range(count):
        parts: list[np.ndarray] = []
        while sum(map(len, parts)) < seconds * SAMPLE_RATE:
            silence = noise.normal(0, 0.001, int(BETWEEN_S * SAMPLE_RATE)).astype(np.float32)
            parts += [silence, load(chance.choice(paths)).samples]
        made.append(np.concatenate([*parts, silence]))
    return made


async def measured(server: Server, waves: list[np.ndarray]) -> Figures:
    """All sessions at once; they begin within two seconds."""
    figures = Figures()

    async def one(number: int, wave: np.ndarray) -> None:
        await asyncio.sleep(2 * number / len(waves))
        await Player(figures, wave).play(server)

    await asyncio.gather(*(one(number, wave) for number, wave in enumerate(waves)))
    return figures


def milliseconds(values: list[float]) -> str:
    """p50 and p95."""
    if not values:
        return "-"
    return "/".join(f"{1000 * np.percentile(values, share):.0f}" for share in (50, 95))


def row(count: int, figures: Figures, used: dict[str, float]) -> str:
    """One line of the table; `used` are seconds of the CPU by process."""
    seconds = max(1.0, figures.seconds)
    columns: list[object] = [
        count,
        count - figures.refused.total(),
        figures.words,
        milliseconds(figures.shown),
        milliseconds(figures.right),
        milliseconds(figures.settled),
        milliseconds(figures.final),
        f"{100 * figures.changed / max(1, figures.looked):.1f}",
        f"{100 * figures.wrong / max(1, figures.kept):.1f}",
        " + ".join(f"{1000 * spent / seconds:.1f}" for spent in used.values()),
        ", ".join(f"{count} {code}" for code, count in figures.refused.items()),
    ]
    return "| " + " | ".join(map(str, columns)) + " |"


def main() -> None:
    """Print a row for each number of sessions."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 5, 10, 20])
    parser.add_argument("--seconds", type=float, default=30.0, help="of sound in each session")
    parser.add_argument("--manifest", type=Path, help="of the clips; by default the samples'")
    parser.add_argument("--most", type=int, help="EARSHOT_LIVE_SESSIONS")
    parser.add_argument("--bundle")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.manifest is None:
        paths = sorted((ROOT / "samples").glob("*.opus")) + sorted(
            (ROOT / "samples").glob("*.flac")
        )
    else:
        paths = [clip.audio for clip in read_manifest(options.manifest)[0]]
    settings = {} if options.most is None else {"live_sessions": options.most}
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    with serving(options.bundle, **settings) as server:
        for count in options.sessions:
            waves = streams(paths, count, options.seconds, options.seed)
            began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
            before = server.cpu_seconds()
            figures = asyncio.run(measured(server, waves))
            after = server.cpu_seconds()
            cpu = {name: after[name] - spent for name, spent in before.items()}
            print(row(count, figures, cpu), flush=True)
            now = resource.getrusage(resource.RUSAGE_SELF)
            spent = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
            print(f"client: {spent / (time.monotonic() - began):.2f} cores", flush=True)


if __name__ == "__main__":
    main()
