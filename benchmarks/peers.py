"""Where does a bundle stand among other recognisers that run on a CPU, on the same clips?

    uv pip install pocketsphinx faster-whisper   # those that you compare with
    python benchmarks/peers.py MANIFEST [MANIFEST ...] [--clips 200] [--whisper FOLDER ...]

Each system runs in a process of its own, one thread, one clip after the other as it would come from
a user, audio decoded beforehand: word error rate with its interval over speakers, CPU seconds per
100 seconds of sound, CPU seconds of the start, peak memory, size on disk. Clips are evenly spread
over each manifest. Texts of all systems are compared in one normal form (`--normaliser`).

`--whisper` takes folders of Whisper models in CTranslate2's form; they read with int8 weights, a
beam of 5 and no fallback to other temperatures. pocketsphinx reads with the model of its package
(US English, 3-gram, 134,000 words). A package that is not installed is named and left out.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from asr.audio import SAMPLE_RATE, Audio, load
from asr.bundle import default_bundle
from asr.corpus import Utterance, read_manifest
from asr.evaluation import NORMALISERS, Analysis, Clip, Evaluation
from asr.evaluation.evaluate import level, score_clips

Reader = Callable[[Audio], str]
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CT2_VERBOSE": "-2"}


def earshot(folder: str, decoder: str) -> tuple[Reader, Path]:
    """A bundle as it is, or with a decoder of another name."""
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(Path(folder), "cpu", threads=1)
    options = {"written": False} | ({"decoder": decoder} if decoder else {})
    return lambda audio: recognizer.transcribe(audio, **options).text, Path(folder)


def pocketsphinx(_folder: str, _decoder: str) -> tuple[Reader, Path]:
    """pocketsphinx with its own model."""
    import numpy as np
    from pocketsphinx import Decoder, get_model_path

    decoder = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")

    def read(audio: Audio) -> str:
        samples = np.round(audio.samples.clip(-1, 1) * 32767).astype("<i2")
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        best = decoder.hyp()
        return "" if best is None else re.sub(r"\(\d+\)", "", best.hypstr)

    return read, Path(get_model_path())


def whisper(folder: str, _decoder: str) -> tuple[Reader, Path]:
    """A Whisper model by CTranslate2."""
    from faster_whisper import WhisperModel

    model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)

    def read(audio: Audio) -> str:
        segments, _ = model.transcribe(
            audio.samples,
            language="en",
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)

    return read, Path(folder)


@dataclass(frozen=True)
class System:
    """One recogniser: what loads it, and with what."""

    name: str
    load: Callable[[str, str], tuple[Reader, Path]]
    package: str
    folder: str = ""
    decoder: str = ""


@dataclass(frozen=True)
class Result:
    """What a system's process measured."""

    texts: list[str]
    start: float
    """CPU seconds until the first clip can be read."""
    work: float
    """CPU seconds of all clips."""
    memory: int
    """Peak resident bytes, less those of the decoded audio."""
    size: int
    """Bytes of the model's files."""


def clips(manifest: Path, count: int) -> list[Utterance]:
    """So many utterances, evenly spread over a manifest."""
    utterances, _ = read_manifest(manifest)
    return [utterances[at * len(utterances) // count] for at in range(min(count, len(utterances)))]


def measure(system: System, chosen: list[Utterance]) -> Result:
    """Reads the clips in this process."""
    audios = [load(utterance.audio) for utterance in chosen]
    held = sum(audio.samples.nbytes for audio in audios)
    began = time.process_time()
    read, files = system.load(system.folder, system.decoder)
    read(audios[0])  # the first call pays for what is made once
    started = time.process_time()
    texts = [read(audio) for audio in audios]
    work = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = sum(path.stat().st_size for path in files.rglob("*") if path.is_file())
    return Result(texts, started - began, work, peak - held, size)


def measured(number: int, manifest: Path) -> Result:
    """`measure` in a process of its own, with this run's options."""
    command = [sys.executable, *sys.argv, "--only", str(number), str(manifest)]
    done = subprocess.run(
        command, env={**os.environ, **THREADS}, check=True, stdout=subprocess.PIPE, text=True
    )
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def references(chosen: list[Utterance]) -> tuple[Clip, ...]:
    """The clips with their texts, and no hypotheses."""
    audios = (load(utterance.audio) for utterance in chosen)
    return tuple(
        Clip(u.id, u.text, "", audio.duration, level(audio.samples), 0, u.speaker)
        for u, audio in zip(chosen, audios, strict=True)
    )


def evaluation(rows: tuple[Clip, ...], texts: list[str], normaliser: str) -> Evaluation:
    """The texts' errors."""
    seconds = sum(row.duration for row in rows)
    return Evaluation(score_clips(rows, texts, normaliser), rows, normaliser, seconds, 1)


def row(name: str, result: Result, whole: Evaluation) -> str:
    """A line of the table."""
    low, high = Analysis.of(whole).whole.interval or (0, 0)
    cost = 100 * result.work / whole.audio_seconds
    return (
        f"{name:24} {whole.score.wer:6.1%}  {low:6.1%} to {high:6.1%} {cost:12.2f} "
        f"{result.start:9.1f} {result.memory / 1e6:9.0f} {result.size / 1e6:7.0f}"
    )


def systems(arguments: argparse.Namespace) -> list[System]:
    """All that can be compared."""
    bundle = str(arguments.bundle)
    return [
        System("earshot", earshot, "asr", bundle),
        System("earshot, greedy", earshot, "asr", bundle, "greedy"),
        System("pocketsphinx", pocketsphinx, "pocketsphinx"),
        *(
            System(f"whisper {folder.name}", whisper, "faster_whisper", str(folder))
            for folder in arguments.whisper
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifests", type=Path, nargs="+")
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument("--clips", type=int, default=200, help="of each manifest")
    parser.add_argument("--whisper", type=Path, nargs="*", default=[], help="model folders")
    parser.add_argument("--normaliser", choices=list(NORMALISERS), default="english")
    parser.add_argument("--only", nargs=2, metavar=("SYSTEM", "MANIFEST"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    compared = systems(arguments)
    if arguments.only:
        number, manifest = arguments.only
        result = measure(compared[int(number)], clips(Path(manifest), arguments.clips))
        print(json.dumps(vars(result)))
        return
    missing = {system.package for system in compared if find_spec(system.package) is None}
    for package in sorted(missing):
        print(f"{package} is not installed: left out.", file=sys.stderr)
    for manifest in arguments.manifests:
        spoken = references(clips(manifest, arguments.clips))
        minutes = sum(clip.duration for clip in spoken) / 60
        print(f"\n{manifest.name}: {len(spoken)} clips, {minutes:.1f} minutes")
        print(
            f"{'system':24} {'WER':>6}  {'95 % interval':16} {'CPU s/100 s':>12} "
            f"{'start, s':>9} {'memory MB':>9} {'MB':>7}"
        )
        for number, system in enumerate(compared):
            if system.package not in missing:
                result = measured(number, manifest)
                whole = evaluation(spoken, result.texts, arguments.normaliser)
                print(row(system.name, result, whole))


if __name__ == "__main__":
    main()
