"""A long recording: when its first words come, memory, and the times of its known text.

Joins clips of a manifest to one recording. Then words are added to its text that nobody says.

    python benchmarks/long.py MANIFEST [--bundle BUNDLE] [--seconds 1200] [--decoder beam]
"""

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path

import soundfile

from asr.audio import SAMPLE_RATE, load
from asr.corpus import read_manifest
from asr.runtime import Recognizer


def joined(manifest: Path, seconds: float, out: Path) -> list[str]:
    """Writes the recording; returns its words."""
    words: list[str] = []
    samples = 0
    with soundfile.SoundFile(out, "w", SAMPLE_RATE, 1, format="FLAC") as file:
        for utterance in read_manifest(manifest)[0]:
            if samples >= seconds * SAMPLE_RATE:
                break
            clip = load(utterance.audio).samples
            file.write(clip)
            samples += len(clip)
            words += utterance.text.split()
    return words


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def align(recognizer: Recognizer, path: Path, words: list[str], run: int, count: int) -> None:
    """Adds `count` runs of words that are not said, and prints what becomes of them."""
    rng = random.Random(run)
    places = set(rng.sample(range(len(words)), count))
    text: list[str] = []
    for place, word in enumerate(words):
        if place in places:
            # In capitals, to tell them from the others; the model spells both in the same way.
            text += [more.upper() for more in rng.choices(words, k=run)]
        text.append(word)
    began = time.monotonic()
    found = recognizer.align(path, " ".join(text))
    seconds = time.monotonic() - began
    said = sum(word.text.islower() for word in found.words)
    marked = sum(word.text.isupper() for word in found.unsaid)
    shown = f"{marked} of {run * count}" if count else "none"
    print(f"{run:13} {shown:>14} {said / len(words):16.2%} {seconds:7.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=1_200.0)
    parser.add_argument("--decoder", default="beam")
    arguments = parser.parse_args()
    recognizer = Recognizer.load(arguments.bundle, "cpu", threads=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.flac"
        words = joined(arguments.manifest, arguments.seconds, path)
        began = time.monotonic()
        segments = recognizer.stream(path, decoder=arguments.decoder)
        next(segments)
        first = time.monotonic() - began
        count = 1 + sum(1 for _ in segments)
        seconds = time.monotonic() - began
        print(f"{arguments.seconds:.0f} s: {count} segments in {seconds:.1f} s, the first after")
        print(f"{first:.1f} s; at most {peak_mb():.0f} MB on one thread")
        print("words in a run   unsaid marked   said words found       s")
        for run, runs in ((1, 0), (1, 150), (3, 60), (30, 6), (300, 2)):
            align(recognizer, path, words, run, runs)


if __name__ == "__main__":
    main()
