"""Does a GPU read as the CPU does, and how fast?

    python benchmarks/gpu.py [--bundle BUNDLE] [--seconds 1200]

The shipped samples, on the CPU by the bundle's graph and by torch in float32, and on the GPU: words
that differ, and by how much log-probabilities do, alone and in a batch. Then clips and one long
recording made of the samples: seconds of audio per second, and the GPU's peak memory.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from asr.audio import SAMPLE_RATE, Audio, load
from asr.bundle import Bundle, default_bundle
from asr.evaluation import score
from asr.runtime import Recognizer
from asr.runtime.torch_engine import TorchEngine

SAMPLES = Path(__file__).parents[1] / "samples"
DECODERS = ("greedy", "beam")
ROUNDS = 3


def compare(bundle: Bundle, gpu: Recognizer, audios: list[Audio]) -> None:
    """Words and log-probabilities of the GPU beside those of the CPU."""
    others = {
        f"CPU, {bundle.precision} graph": Recognizer.load(bundle.path, device="cpu"),
        "CPU, torch float32": Recognizer(bundle, TorchEngine(bundle, "cpu"), bundle.lm),
    }
    names = [str(number) for number in range(len(audios))]
    for decoder in DECODERS:
        found = [one.text for one in gpu.transcribe(audios, decoder=decoder, written=False)]
        for name, other in others.items():
            read = other.transcribe(audios, decoder=decoder, written=False)
            texts = [one.text for one in read]
            counted = score(names, texts, found)
            print(f"{decoder}: {counted.errors} of {counted.words} words unlike {name}")
        print(*found, sep="\n")
    waves = [audio.samples for audio in audios]
    among, lengths = gpu.engine(waves)
    on_cpu, _ = others["CPU, torch float32"].engine(waves)
    alone = [gpu.engine([wave])[0][0] for wave in waves]
    frames = [slice(length) for length in lengths]
    company = max(abs(a[b] - c[b]).max() for a, b, c in zip(among, frames, alone, strict=True))
    devices = max(abs(a[b] - c[b]).max() for a, b, c in zip(among, frames, on_cpu, strict=True))
    print(f"log-probabilities differ alone and in a batch by up to {company:.1e}")
    print(f"log-probabilities differ on the GPU and the CPU by up to {devices:.1e}")


def measure(gpu: Recognizer, name: str, audios: list[Audio]) -> None:
    """A row for the model alone, and one for each decoder: the fastest of a few rounds."""
    seconds = sum(audio.duration for audio in audios)
    waves = [audio.samples for audio in audios]
    work = {"model alone": lambda: gpu.engine(waves)} if len(audios) > 1 else {}
    work |= {
        decoder: lambda decoder=decoder: gpu.transcribe(audios, decoder=decoder)
        for decoder in DECODERS
    }
    for what, run in work.items():
        run()
        torch.cuda.reset_peak_memory_stats()
        taken = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            run()
            taken.append(time.perf_counter() - began)
        peak = torch.cuda.max_memory_allocated() / 2**20
        print(
            f"{name}, {what}: {seconds / min(taken):.0f} s of audio per second "
            f"({min(taken):.3f} s, slowest round {max(taken):.3f} s), peak {peak:.0f} MiB",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=1200.0, help="of audio to time")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle or default_bundle())
    paths = sorted(p for p in SAMPLES.iterdir() if p.suffix in (".opus", ".flac", ".wav"))
    audios = [load(path) for path in paths]
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    gpu = Recognizer.load(bundle.path, device="cuda")
    compare(bundle, gpu, audios)
    rounds = max(1, round(options.seconds / sum(audio.duration for audio in audios)))
    measure(gpu, f"{rounds * len(audios)} clips", audios * rounds)
    joined = np.concatenate([audio.samples for audio in audios])
    long = np.resize(joined, int(options.seconds * SAMPLE_RATE))
    measure(gpu, f"one recording of {options.seconds:.0f} s", [Audio(long)])


if __name__ == "__main__":
    main()
