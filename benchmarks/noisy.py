"""Clips of a manifest with noise under them, for `asr evaluate`: how much worse does it read them?

    python benchmarks/noisy.py $EARSHOT_DATA/dev-librispeech.jsonl $EARSHOT_DATA/noise.jsonl \\
        noisy --only=-045
    asr evaluate noisy/dev-librispeech-clean.jsonl
    asr evaluate noisy/dev-librispeech-10dB.jsonl

Noise whose id ends in `--only` (kept out of training by `model.augment.noise.without`) goes round
if it is shorter than the clip. The ratio is that of the powers over the whole clip, pauses too, as
in training.
"""

import argparse
import json
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE, load
from asr.corpus import Utterance, read_manifest, read_recordings
from asr.runtime.engine import Wave


def mixed(speech: Wave, noise: Wave, decibels: float) -> Wave:
    """Speech over noise that is `decibels` weaker, scaled down together where that would clip."""
    under = np.resize(noise, len(speech))
    ratio = np.square(speech).mean() / max(np.square(under).mean(), 1e-12)
    both = speech + under * np.sqrt(ratio / 10 ** (decibels / 10))
    return both / max(1.0, np.abs(both).max())


def line(utterance: Utterance, audio: Path) -> str:
    """The manifest line of an utterance whose sound is in `audio`."""
    told = {"id": utterance.id, "audio": str(audio.resolve()), "text": utterance.text}
    return json.dumps(told | {"speaker": utterance.speaker}) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("noise", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--decibels", type=float, default=10.0)
    arguments = parser.parse_args()
    utterances, _ = read_manifest(arguments.manifest)
    chosen = utterances[:: max(1, len(utterances) // arguments.clips)][: arguments.clips]
    noises = [
        load(one.audio).samples
        for one in read_recordings(arguments.noise)
        if one.id.endswith(arguments.only)
    ]
    if not noises:
        parser.error(f"{arguments.noise} has no clip whose id ends in {arguments.only!r}")
    kind = f"{arguments.manifest.stem}-{arguments.decibels:g}dB"
    sounds = arguments.out / kind
    sounds.mkdir(parents=True, exist_ok=True)
    with (
        (arguments.out / f"{arguments.manifest.stem}-clean.jsonl").open("w") as clean,
        (arguments.out / f"{kind}.jsonl").open("w") as noisy,
    ):
        for number, (utterance, noise) in enumerate(zip(chosen, cycle(noises))):
            sound = sounds / f"{number}.wav"
            both = mixed(load(utterance.audio).samples, noise, arguments.decibels)
            soundfile.write(sound, both, SAMPLE_RATE)
            clean.write(line(utterance, utterance.audio))
            noisy.write(line(utterance, sound))
    print(f"{len(chosen)} clips over {len(noises)} of noise: {clean.name}, {noisy.name}")


if __name__ == "__main__":
    main()
