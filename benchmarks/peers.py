"""How does a bundle compare with pocketsphinx on the same clips?

    uv pip install pocketsphinx   # or --target FOLDER, and PYTHONPATH=FOLDER below
    python benchmarks/peers.py MANIFEST [--bundle BUNDLE] [--clips 30]

One run, side by side, audio decoded beforehand, one clip at a time and one thread each: WER with
its interval over speakers, the paired difference, and seconds of audio per second. pocketsphinx
comes with a model of its own (US English, 3-gram, 134,000 words), which is used as it is.
"""

import argparse
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

# Before numpy, torch and ONNX Runtime are loaded: pocketsphinx has one thread.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from asr.audio import Audio, load
from asr.corpus import read_manifest
from asr.evaluation import Analysis, Clip, Evaluation, compare
from asr.evaluation.evaluate import level, score_clips
from asr.runtime import Recognizer

Reader = Callable[[Audio], str]


def pocketsphinx() -> Reader:
    """Reads audio with pocketsphinx's own model."""
    from pocketsphinx import Decoder  # optional: this benchmark alone needs it

    decoder = Decoder(samprate=16000, loglevel="FATAL")

    def read(audio: Audio) -> str:
        samples = np.round(audio.samples.clip(-1, 1) * 32767).astype("<i2")
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return "" if found is None else re.sub(r"\(\d+\)", "", found.hypstr)

    return read


def bundle(path: Path | None) -> Reader:
    """Reads audio with a bundle on the CPU, a clip a call."""
    recognizer = Recognizer.load(path, "cpu")
    return lambda audio: recognizer.transcribe(audio).text


def read_all(reader: Reader, audios: list[Audio]) -> tuple[list[str], float]:
    """What was heard, and seconds of audio per second of wall time."""
    reader(audios[0])  # the first call pays for what is made once
    began = time.perf_counter()
    heard = [reader(audio) for audio in audios]
    return heard, sum(audio.duration for audio in audios) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--clips", type=int, default=30, help="evenly spread over the manifest")
    arguments = parser.parse_args()
    try:
        peer = pocketsphinx()
    except ModuleNotFoundError:
        parser.exit(2, "pocketsphinx is not installed: `uv pip install pocketsphinx`.\n")
    utterances, _ = read_manifest(arguments.manifest)
    chosen = utterances[:: max(1, len(utterances) // arguments.clips)][: arguments.clips]
    audios = [load(utterance.audio) for utterance in chosen]
    heard, speed = {}, {}
    for name, reader in (("earshot", bundle(arguments.bundle)), ("pocketsphinx", peer)):
        heard[name], speed[name] = read_all(reader, audios)
    print(f"{len(audios)} clips, {sum(audio.duration for audio in audios) / 60:.1f} minutes")
    print(f"{'system':14} {'WER':>7}   {'95 % interval':18} {'s of audio per s':>16}")
    clips = tuple(
        Clip(
            u.id, u.text, heard["earshot"][row], audio.duration, level(audio.samples), 0, u.speaker
        )
        for row, (u, audio) in enumerate(zip(chosen, audios, strict=True))
    )
    for name, texts in heard.items():
        found = Evaluation(score_clips(clips, texts, "plain"), clips, "plain", 1, 1)
        low, high = Analysis.of(found).whole.interval or (0, 0)
        span = f"{low:.1%} to {high:.1%}"
        print(f"{name:14} {found.score.wer:7.1%}   {span:18} {speed[name]:16.0f}")
    ours = Evaluation(score_clips(clips, heard["earshot"], "plain"), clips, "plain", 1, 1)
    paired = compare(ours, heard["pocketsphinx"], "pocketsphinx")
    points = [100 * value for value in (paired.difference, *paired.interval)]
    print("difference {:+.1f} points ({:+.1f} to {:+.1f}), p {:.4f}".format(*points, paired.p))


if __name__ == "__main__":
    main()
