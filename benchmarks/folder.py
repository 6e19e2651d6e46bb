"""How fast is a folder job, end to end and in each stage, and how long does each stage wait?

Makes a folder of real speech from a manifest, a quarter each of FLAC, Opus, MP3 and WAV, and
transcribes it by the job of `asr transcribe --output`, in a process of its own, on one core and on
two: greedily, and as the bundle says. Speeds are seconds of audio per second; end to end counts the
start of the process. A stage's speed is that of its threads while they work, beside the others on
the same cores; `starved` is the share of their time that they wait for the stage before, `blocked`
for the one behind. CPU is seconds of all processes.

    python benchmarks/folder.py MANIFEST [--hours 1] [--bundle BUNDLE] [--cores 1 2]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from itertools import cycle
from pathlib import Path

import soundfile

from asr.audio import SAMPLE_RATE, load
from asr.batch import (
    FolderJob,
    Shard,
    Tally,
    list_inputs,
    made_by,
    output_stems,
    run,
    workplace,
)
from asr.bundle import default_bundle
from asr.corpus import read_manifest
from asr.options import Selection
from asr.runtime import Recognizer
from asr.transcript import Layout

KINDS = (
    ("flac", "FLAC", "PCM_16"),
    ("opus", "OGG", "OPUS"),
    ("mp3", "MP3", "MPEG_LAYER_III"),
    ("wav", "WAV", "PCM_16"),
)
DECODERS = ("greedy", "default")
LEAST_S = 1e-3
"""A stage that worked for less had nothing to do, and is left out."""


def make(manifest: Path, folder: Path, hours: float) -> tuple[int, float]:
    """Writes so many hours of the manifest's clips; returns their number and seconds."""
    utterances, _ = read_manifest(manifest)
    count, seconds = 0, 0.0
    for utterance, (suffix, format, subtype) in zip(cycle(utterances), cycle(KINDS)):
        if seconds >= hours * 3600:
            return count, seconds
        samples = load(utterance.audio).samples
        place = folder / f"{count // 500:03}"
        place.mkdir(exist_ok=True)
        path = place / f"{count:06}.{suffix}"
        soundfile.write(path, samples, SAMPLE_RATE, format=format, subtype=subtype)
        count, seconds = count + 1, seconds + len(samples) / SAMPLE_RATE
    raise SystemExit(f"{manifest} has no clips")


def measure(folder: Path, output: Path, bundle: Path, decoder: str) -> None:
    """Runs the job in this process and prints what it was like as JSON."""
    inputs = list_inputs([folder])
    inputs.plan(output_stems(inputs, output, ["json"]), lambda _: True)
    with workplace(output, Shard()) as journal:
        recognizer = Recognizer.load(bundle, "cpu")
        options = recognizer.options(**({"decoder": "greedy"} if decoder == "greedy" else {}))
        job = FolderJob(
            output=output,
            formats=["json"],
            layout=Layout(),
            options=options,
            made=made_by(recognizer, options, Layout(), Selection()),
        )
        tally = Tally()
        run(job, recognizer, inputs, journal, tally, lambda *_: None, threading.Event())
    if tally.done < len(inputs):
        raise SystemExit(f"{len(inputs) - tally.done} of the recordings failed: {tally.reasons}")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(
        json.dumps(
            {
                "seconds": tally.seconds,
                "run": tally.elapsed,
                "cpu": sum(usage.ru_utime + usage.ru_stime for usage in used),
                "megabytes": used[0].ru_maxrss / 1024,
                "stages": {
                    name: [clock.threads, clock.busy, clock.starved, clock.blocked]
                    for name, clock in tally.clocks.items()
                },
            }
        )
    )


def in_a_process(arguments: list[str], cores: list[int]) -> tuple[dict[str, float], float]:
    """What `measure` prints on these cores, and the seconds of the whole process."""
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, __file__, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    return json.loads(ran.stdout), time.monotonic() - began


def table(folder: Path, bundle: Path, cores: list[int], scratch: Path) -> None:
    print(f"{'':16} {'end to end':>10} {'CPU s':>7} {'MB':>6}  stages: speed, starved, blocked")
    usable = sorted(os.sched_getaffinity(0))
    for count in cores:
        if count > len(usable):
            print(f"{count} cores are not to be had here")
            continue
        for decoder in DECODERS:
            output = scratch / f"{decoder}-{count}"
            arguments = ["--measure", decoder, str(folder), str(output), "--bundle", str(bundle)]
            found, wall = in_a_process(arguments, usable[:count])
            stages = "; ".join(
                f"{name} {found['seconds'] * threads / max(busy, 1e-9):.0f}, "
                f"{starved / (busy + starved + blocked):.0%}, "
                f"{blocked / (busy + starved + blocked):.0%}"
                for name, (threads, busy, starved, blocked) in found["stages"].items()  # type: ignore[attr-defined]
                if busy >= LEAST_S
            )
            print(
                f"{decoder}, {count} core{'s' * (count > 1):1} {found['seconds'] / wall:10.0f} "
                f"{found['cpu']:7.1f} {found['megabytes']:6.0f}  {stages}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+", help="the manifest")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--measure", choices=DECODERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        folder, output = arguments.paths
        measure(folder, output, arguments.bundle, arguments.measure)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "in"
        folder.mkdir()
        count, seconds = make(arguments.paths[0], folder, arguments.hours)
        size = sum(path.stat().st_size for path in folder.rglob("*.*"))
        print(
            f"{count} recordings, {seconds / 3600:.2f} h, {size / 1e6:.0f} MB, {arguments.bundle}"
        )
        table(folder, arguments.bundle, arguments.cores, Path(scratch))


if __name__ == "__main__":
    main()
