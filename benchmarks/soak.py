"""Does the service keep its memory? Many requests of every kind, and what stays behind.

    OMP_NUM_THREADS=1 python benchmarks/soak.py --requests 20000

Clips of half a second to two seconds in several formats, damaged and empty files, options that
cannot be, and clients that hang up, in an order fixed by the seed. Prints resident memory of the
server with all its workers over time, and its growth after the first tenth. Ends with 1 where an
answer is not what it should be.
"""

import argparse
import asyncio
import io
import random
import sys
import time
from collections import Counter

import soundfile
from load import Client, Server, clip, serving

from asr.audio import SAMPLE_RATE, load

AT_ONCE = 8
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


async def soak(server: Server, options: argparse.Namespace) -> bool:
    """Whether all answers were what they should be."""
    client, chance, bodies = Client(server), random.Random(options.seed), corpus(options.seed)
    statuses: Counter[int] = Counter()
    wrong: Counter[str] = Counter()
    left = iter(range(options.requests))
    seen: dict[int, int] = {}
    tenth = max(1, options.requests // 10)

    async def work() -> None:
        for number in left:
            body, allowed = chance.choice(bodies)
            if chance.random() < 0.02:
                await hang_up(server, body, chance.uniform(0, 0.02))
                continue
            answer = await client.ask("", body, time.monotonic())
            statuses[answer.status] += 1
            if answer.status not in allowed:
                wrong[f"{answer.status}, not {sorted(allowed)}"] += 1
            if number % tenth == tenth - 1:
                seen[number + 1] = server.memory_bytes()
                print(f"{number + 1:6d} requests: {seen[number + 1] / 2**20:.0f} MB", flush=True)

    began = time.monotonic()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    client.close()
    rate = options.requests / (time.monotonic() - began)
    print(f"{rate:.0f} requests a second; statuses {dict(sorted(statuses.items()))}")
    if len(seen) > 1:
        first, last = seen[min(seen)], seen[max(seen)]
        print(f"growth after the first tenth: {100 * (last / first - 1):+.1f} %")
    for what, count in wrong.items():
        print(f"{count} answers were {what}")
    return not wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--bundle", help="folder; else the one that ships")
    options = parser.parse_args()
    with serving(options.bundle, deadline_s=120) as server:
        fine = asyncio.run(soak(server, options))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
