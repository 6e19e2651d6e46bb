"""How fast does a bundle transcribe on this CPU, and what does int8 cost?

One run, side by side, on the same clips, audio already decoded: the torch model, the ONNX graph in
fp32, and the bundle's own graph. Prints one table.

    python benchmarks/transcribe.py MANIFEST [--bundle BUNDLE] [--clips 200]
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import onnx

from asr.audio import Audio, load
from asr.bundle import Bundle, build_graph, default_bundle
from asr.corpus import read_manifest
from asr.evaluation import score
from asr.runtime import Engine, Recognizer
from asr.runtime.onnx_engine import OnnxEngine
from asr.runtime.torch_engine import TorchEngine


def engines(bundle: Bundle, folder: Path) -> dict[str, Engine]:
    in_fp32 = replace(bundle, path=folder, precision="fp32")
    onnx.save(build_graph(bundle.acoustic_model()), in_fp32.graph)
    return {
        "torch fp32, batches": TorchEngine(bundle, "cpu"),
        "ONNX Runtime fp32": OnnxEngine(in_fp32),
        f"ONNX Runtime {bundle.precision} (shipped)": OnnxEngine(bundle),
    }


def timed(recognizer: Recognizer, audios: list[Audio], rounds: int) -> tuple[float, list[str]]:
    """Seconds of the fastest round, and the words."""
    best, texts = float("inf"), [""]
    for _ in range(rounds):
        began = time.perf_counter()
        transcripts = recognizer.transcribe(audios)
        best = min(best, time.perf_counter() - began)
        texts = [transcript.text for transcript in transcripts]
    return best, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    bundle = Bundle.open(arguments.bundle or default_bundle())
    utterances, _ = read_manifest(arguments.manifest)
    chosen = utterances[:: max(1, len(utterances) // arguments.clips)]
    audios = [load(utterance.audio) for utterance in chosen]
    seconds = sum(audio.duration for audio in audios)
    print(f"{len(audios)} clips, {seconds / 60:.1f} minutes of audio")
    print(f"{'engine':32} {'s of audio per s':>18} {'WER':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name, engine in engines(bundle, Path(folder)).items():
            took, texts = timed(Recognizer(bundle, engine), audios, arguments.rounds)
            wer = score([u.id for u in chosen], [u.text for u in chosen], texts).wer
            print(f"{name:32} {seconds / took:18.0f} {wer:8.2%}")


if __name__ == "__main__":
    main()
