"""How the service holds under load: latency against load, its knee, goodput beyond it.

    OMP_NUM_THREADS=1 python benchmarks/serve.py --seconds 20

Clips of 3, 10 and 30 s (60, 30 and 10 % of requests), made of the shipped samples, arrive as a
Poisson process (open loop: a slow answer does not hold the next request back). The knee is the
highest load of the curve at which a hundredth of the requests at most is refused or late and the
95th percentile is at most five times that of the lightest load. Goodput counts seconds of sound
answered within the deadline. The client runs beside the server and takes its share of the CPU,
which is printed.
"""

import argparse
import asyncio
import os
import resource
import statistics
import time
from collections import Counter

from load import Answer, Client, Server, clip, open_loop, serving

LENGTHS = {"3 s": 3.0, "10 s": 10.0, "30 s": 30.0}
SHARES = {"3 s": 0.6, "10 s": 0.3, "30 s": 0.1}
MEAN_S = sum(SHARES[kind] * LENGTHS[kind] for kind in LENGTHS)
FRACTIONS = (0.2, 0.4, 0.6, 0.8, 1.0)
LONG_S = 600.0


def percentile(values: list[float], share: float) -> float:
    """Of values; not a number where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def latencies(answers: list[Answer], kind: str | None = None) -> str:
    """p50/p95/p99 in milliseconds of what was answered."""
    good = [a.seconds for a in answers if a.status == 200 and kind in (None, a.kind)]
    return "/".join(f"{1000 * percentile(good, share):.0f}" for share in (0.5, 0.95, 0.99))


def good_seconds(answers: list[Answer], deadline_s: float) -> float:
    """Seconds of sound that were answered in time."""
    return sum(
        LENGTHS[a.kind]
        for a in answers
        if a.status == 200 and a.seconds <= deadline_s + LENGTHS[a.kind]
    )


async def peak(client: Client, seconds: float) -> float:
    """Seconds of sound per second when eight clients ask for 10 s clips without a pause."""
    body, began = clip(10.0), time.monotonic()

    async def ask() -> list[int]:
        statuses = []
        while time.monotonic() < began + seconds:
            statuses.append((await client.ask("10 s", body, time.monotonic())).status)
        return statuses

    answered = await asyncio.gather(*(ask() for _ in range(8)))
    statuses = [status for part in answered for status in part]
    return 10.0 * statuses.count(200) / (time.monotonic() - began)


async def idle(client: Client) -> None:
    """The latency of a 10 s clip with nothing else to do."""
    body = clip(10.0)
    taken = [(await client.ask("10 s", body, time.monotonic())).seconds for _ in range(20)]
    print(f"\none 10 s clip on an idle server: median {1000 * statistics.median(taken):.0f} ms")


async def curve(client: Client, top: float, options: argparse.Namespace) -> None:
    """The table of loads, in shares of the closed loop's peak, then beyond the knee."""
    mix = {kind: (SHARES[kind], clip(seconds)) for kind, seconds in LENGTHS.items()}
    print(
        "\n| load | offered | goodput | answered | refused | late or lost | p50/p95/p99 ms | 3 s "
        "| 10 s | 30 s | refusal p95 ms |\n" + "|---" * 11 + "|"
    )
    lightest, knee, best, knee_rate = 0.0, 0.0, 0.0, top * FRACTIONS[0] / MEAN_S
    for number, fraction in enumerate(FRACTIONS):
        rate = top * fraction / MEAN_S
        answers, goodput = await load_of(f"{fraction:g}x peak", client, mix, rate, options, number)
        best = max(best, goodput)
        p95 = percentile([a.seconds for a in answers if a.status == 200], 0.95)
        lightest = lightest or p95
        bad = sum(a.status != 200 for a in answers)
        if bad <= 0.01 * len(answers) and p95 <= 5 * lightest:
            knee, knee_rate = fraction, rate
    print(f"\nknee: {knee:g}x peak, {knee_rate * MEAN_S:.0f} s of sound per second\n")
    for times in (1, 2, 3):
        answers, goodput = await load_of(
            f"{times}x knee", client, mix, times * knee_rate, options, 10 + times
        )
        best = max(best, goodput)
        print(f"goodput at {times}x the knee: {100 * goodput / best:.0f} % of the best\n")


async def load_of(
    name: str,
    client: Client,
    mix: dict[str, tuple[float, bytes]],
    rate: float,
    options: argparse.Namespace,
    seed: int,
) -> tuple[list[Answer], float]:
    """Offer a load, print its row; the answers, and the seconds of sound per second in time."""
    rate = min(rate, options.most / options.seconds)
    began = time.monotonic()
    answers = await open_loop(client, mix, rate, options.seconds, seed)
    took = max(options.seconds, time.monotonic() - began)
    goodput = good_seconds(answers, options.deadline) / took
    offered = sum(LENGTHS[a.kind] for a in answers) / options.seconds
    statuses = Counter(a.status for a in answers)
    refused = [a.answered_s for a in answers if a.status == 503]
    lost = len(answers) - statuses[200] - statuses[503]
    columns = [name, f"{offered:.0f}", f"{goodput:.0f}", statuses[200], statuses[503], lost]
    columns += [latencies(answers), *(latencies(answers, kind) for kind in LENGTHS)]
    columns.append(f"{1000 * percentile(refused, 0.95):.0f}" if refused else "")
    print("| " + " | ".join(map(str, columns)) + " |", flush=True)
    return answers, goodput


async def beside_long(client: Client, seconds: float) -> None:
    """The latency of 3 s clips, four a second, while two files of ten minutes are at work."""
    long, short, end = clip(LONG_S), clip(3.0), time.monotonic() + seconds

    async def keep_busy() -> list[int]:
        statuses = []
        while time.monotonic() < end:
            statuses.append((await client.ask("long", long, time.monotonic())).status)
        return statuses

    busy = [asyncio.create_task(keep_busy()) for _ in range(2)]
    answers = await open_loop(client, {"3 s": (1.0, short)}, 4.0, seconds, 99)
    done = sum(part.count(200) for part in await asyncio.gather(*busy))
    print(
        f"3 s clips while 10-minute files are at work ({done} done): "
        f"p50/p95/p99 {latencies(answers)} ms of {len(answers)}"
    )


async def measured(server: Server, options: argparse.Namespace) -> None:
    """Everything, one after the other."""
    client = Client(server)
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    await idle(client)
    top = await peak(client, options.seconds)
    print(f"closed loop, 8 clients, 10 s clips: {top:.0f} s of sound per second")
    await curve(client, top, options)
    await beside_long(client, options.seconds)
    now = resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    cores = os.cpu_count() or 1
    share = 100 * cpu / (time.monotonic() - began) / cores
    print(f"the load generator took {share:.1f} % of {cores} cores")
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", help="folder; else the one that ships")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--deadline", type=float, default=5.0, help="EARSHOT_DEADLINE_S")
    parser.add_argument("--most", type=int, default=20_000, help="requests of one load at most")
    options = parser.parse_args()
    with serving(options.bundle, options.device, deadline_s=options.deadline) as server:
        asyncio.run(measured(server, options))


if __name__ == "__main__":
    main()
