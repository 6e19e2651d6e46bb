"""Does the service keep its memory? Traffic of every kind, and what stays behind.

    OMP_NUM_THREADS=1 python benchmarks/soak.py --requests 20000
    OMP_NUM_THREADS=1 python benchmarks/soak.py --minutes 30 --jobs 2 --live 4

Clips of half a second to two seconds in several formats, damaged and empty files, options that
cannot be, and clients that hang up, in an order fixed by the seed; beside them, if told, jobs of up
to some minutes one after another, and live sessions at real time. Prints resident memory of the
server with all its workers over time, and its growth after the first tenth. Ends with 1 where an
answer is not what it should be.
"""

import argparse
import asyncio
import base64
import io
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter

import httpx
import numpy as np
import soundfile
from load import Client, Server, clip, serving
from websockets.asyncio.client import ClientConnection, connect

from asr.audio import SAMPLE_RATE, load

AT_ONCE = 8
MOST_SESSIONS = 64
"""A session that was closed is counted until the server has let go of it."""
JOB_S = (5.0, 400.0)
"""Seconds of the shortest and of the longest recording of a job."""
TURN_S, PAUSE_S = 4.0, 1.5
"""Seconds of speech in a live session, and of silence behind it."""
MESSAGE = SAMPLE_RATE // 10
FORMATS = {"flac": None, "wav": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}


def corpus(seed: int) -> list[tuple[bytes, set[int]]]:
    """Bodies, and the statuses that each may be answered with."""
    chance = random.Random(seed)
    bodies: list[tuple[bytes, set[int]]] = []
    for number in range(24):
        body = clip(chance.uniform(0.5, 2.0), seed=number)
        format = list(FORMATS)[number % len(FORMATS)]
        if subtype := FORMATS[format]:
            file = io.BytesIO()
            samples = load(body).samples
            soundfile.write(file, samples, SAMPLE_RATE, format=format.upper(), subtype=subtype)
            body = file.getvalue()
        bodies.append((body, {200}))
    for number in range(6):
        damaged = bytearray(bodies[number][0])
        for _ in range(20):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        bodies.append((bytes(damaged), {200, 413, 415}))
        bodies.append((bodies[number][0][: len(damaged) // 3], {200, 415}))
    return [*bodies, (b"", {415}), (b"nothing", {415})]


async def hang_up(server: Server, body: bytes, after_s: float) -> None:
    """Send a request, and go before it is answered."""
    _, writer = await asyncio.open_connection(server.host, server.port)
    head = f"POST /v1/transcribe HTTP/1.1\r\nhost: soak\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body[: len(body) // 2 if after_s < 0.005 else None])
    await asyncio.sleep(after_s)
    writer.close()


class Soak:
    """What is sent, and what was wrong with the answers."""

    def __init__(self, server: Server, options: argparse.Namespace) -> None:
        self._server = server
        self._options = options
        self._began = time.monotonic()
        self._requests = 0
        self._statuses: Counter[int] = Counter()
        self._done: Counter[str] = Counter()
        self._wrong: Counter[str] = Counter()
        self._memory: list[int] = []

    async def run(self) -> bool:
        """Send it all; whether all answers were what they should be."""
        client, chance = Client(self._server), random.Random(self._options.seed)
        bodies = corpus(self._options.seed)
        works = [self._ask(client, chance, bodies) for _ in range(AT_ONCE)]
        works += [self._post_jobs(number) for number in range(self._options.jobs)]
        works += [self._speak(number) for number in range(self._options.live)]
        await asyncio.gather(*works)
        client.close()
        self._look()
        self._print()
        return not self._wrong

    @property
    def _share(self) -> float:
        """How much of it is done."""
        minutes = (time.monotonic() - self._began) / 60
        return max(self._requests / self._options.requests, minutes / self._options.minutes)

    def _look(self) -> None:
        """Note the memory, once in each tenth."""
        if len(self._memory) < int(10 * min(1.0, self._share)):
            self._memory.append(self._server.memory_bytes())
            print(
                f"{time.monotonic() - self._began:6.0f} s, {self._requests:6d} requests, "
                f"{self._done['jobs']:4d} jobs, {self._done['turns']:5d} live turns: "
                f"{self._memory[-1] / 2**20:.0f} MB",
                flush=True,
            )

    async def _ask(
        self, client: Client, chance: random.Random, bodies: list[tuple[bytes, set[int]]]
    ) -> None:
        while self._share < 1:
            self._requests += 1
            body, allowed = chance.choice(bodies)
            if chance.random() < 0.02:
                await hang_up(self._server, body, chance.uniform(0, 0.02))
                continue
            answer = await client.ask("", body, time.monotonic())
            self._statuses[answer.status] += 1
            if answer.status not in allowed:
                self._wrong[f"answers were {answer.status}, not {sorted(allowed)}"] += 1
            self._look()

    async def _post_jobs(self, number: int) -> None:
        """One job after another, each until it has its result."""
        chance = random.Random(f"{self._options.seed}/{number}")
        address = f"http://{self._server.host}:{self._server.port}/v1/jobs"
        async with httpx.AsyncClient(timeout=120) as http:
            while self._share < 1:
                seconds = chance.uniform(*JOB_S)
                body = await asyncio.to_thread(clip, seconds, chance.randrange(1000))
                job = (await http.post(address, files={"file": body})).json()
                while job.get("state") in ("waiting", "running"):
                    await asyncio.sleep(0.5)
                    job = (await http.get(f"{address}/{job['id']}")).json()
                if job.get("state") != "done":
                    self._wrong[f"jobs ended so: {job.get('error')}"] += 1
                    continue
                result = await http.get(f"{address}/{job['id']}/result")
                if result.status_code != 200 or not result.json()["text"]:
                    self._wrong[f"results were {result.status_code}, or empty"] += 1
                await http.delete(f"{address}/{job['id']}")
                self._done["jobs"] += 1

    async def _speak(self, number: int) -> None:
        """One live session after another."""
        samples = load(clip(TURN_S, seed=number)).samples
        quiet = np.zeros(int(PAUSE_S * SAMPLE_RATE), np.float32)
        data = (np.concatenate([samples, quiet]) * 32767).astype("<i2").tobytes()
        address = f"ws://{self._server.host}:{self._server.port}/v1/realtime"
        while self._share < 1:
            async with connect(address, compression=None) as socket:
                following = asyncio.create_task(self._follow(socket))
                await _play(socket, data)
                if not await following:
                    self._wrong["live sessions had no text"] += 1

    async def _follow(self, socket: ClientConnection) -> int:
        """Read events until every turn has its text; how many there were."""
        opened = completed = 0
        while not opened or completed < opened:
            event = json.loads(await asyncio.wait_for(socket.recv(), 600))
            kind = event["type"].rpartition(".")[2]
            opened += kind == "committed"
            completed += kind == "completed"
            if kind in ("error", "failed"):
                self._wrong[f"live sessions had the error {event['error']['code']}"] += 1
                break
        self._done["turns"] += completed
        return completed

    def _print(self) -> None:
        rate = self._requests / (time.monotonic() - self._began)
        print(f"{rate:.0f} requests a second; statuses {dict(sorted(self._statuses.items()))}")
        if len(self._memory) > 1:
            first, last = self._memory[0], self._memory[-1]
            print(f"growth after the first tenth: {100 * (last / first - 1):+.1f} %")
        for what, count in self._wrong.items():
            print(f"{count} {what}")


async def _play(socket: ClientConnection, data: bytes) -> None:
    """Send samples as they would be spoken."""
    form = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": SAMPLE_RATE}}}}
    await socket.send(json.dumps({"type": "session.update", "session": form}))
    began = time.monotonic()
    for number, at in enumerate(range(0, len(data), 2 * MESSAGE), start=1):
        audio = base64.b64encode(data[at : at + 2 * MESSAGE]).decode()
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        await asyncio.sleep(max(0.0, began + number * MESSAGE / SAMPLE_RATE - time.monotonic()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, help="how many; by default 500, or as time allows")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--jobs", type=int, default=0, help="how many at a time")
    parser.add_argument("--live", type=int, default=0, help="sessions at a time")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--bundle", help="folder; else the one that ships")
    options = parser.parse_args()
    options.requests = options.requests or (500 if options.minutes == math.inf else math.inf)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(
            options.bundle, deadline_s=120, jobs_folder=folder, live_sessions=MOST_SESSIONS
        ) as server,
    ):
        fine = asyncio.run(Soak(server, options).run())
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
