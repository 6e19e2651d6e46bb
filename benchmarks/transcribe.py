"""How fast does a bundle transcribe on this CPU, and what does int8 cost?

One run, side by side, on the same clips, audio already decoded: the torch model, the ONNX graph in
fp32, the bundle's own graph, the same by the processor's fastest sums where those saturate, and
with weights of seven bits, whose sums cannot. Speed is told per second of one core, so that what
else the machine does counts for little. Prints one table.

    python benchmarks/transcribe.py MANIFEST [--bundle BUNDLE] [--clips 200]

On a processor with VNNI, `tests/without_vnni.c` says how to run it as if without.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import onnx

from asr.audio import Audio, load
from asr.bundle import Bundle, default_bundle
from asr.bundle.session import saturates, session
from asr.corpus import read_manifest
from asr.evaluation import score
from asr.export.onnx.graph import build_graph
from asr.export.onnx.quantisation import quantize
from asr.runtime import Engine, Recognizer
from asr.runtime.onnx_engine import OnnxEngine
from asr.runtime.torch_engine import TorchEngine


def engines(bundle: Bundle, folder: Path) -> dict[str, Engine]:
    in_fp32 = replace(bundle, path=folder / "fp32", info=replace(bundle.info, precision="fp32"))
    in_7_bits = replace(bundle, path=folder / "seven")
    graph = build_graph(bundle.acoustic_model())
    for other, content in ((in_fp32, graph), (in_7_bits, quantize(graph, weight_bits=7))):
        other.path.mkdir()
        onnx.save(content, other.graph)
    found: dict[str, Engine] = {
        "torch fp32, batches": TorchEngine(bundle, "cpu"),
        "ONNX Runtime fp32": OnnxEngine(in_fp32),
        f"ONNX Runtime {bundle.precision} (shipped)": OnnxEngine(bundle),
        "ONNX Runtime int8, seven bits": OnnxEngine(in_7_bits),
    }
    if saturates():
        fastest = OnnxEngine(bundle)
        fastest._session = session(bundle.graph, exact=False)
        found["the shipped one, fastest sums"] = fastest
    return found


def timed(recognizer: Recognizer, audios: list[Audio], rounds: int) -> tuple[float, list[str]]:
    """Seconds of one core in the fastest round, and the words."""
    best, texts = float("inf"), [""]
    for _ in range(rounds):
        began = time.process_time()
        transcripts = recognizer.transcribe(audios, decoder="greedy", written=False)
        best = min(best, time.process_time() - began)
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
