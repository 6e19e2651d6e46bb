"""How many words does cutting a long recording change, by context and window?

Joins clips of a manifest to one recording and compares windows with one pass, both in float32. A
second pass, which starts a second later, shows how sensitive the model is by itself.

    python benchmarks/seams.py MANIFEST [--bundle BUNDLE] [--seconds 300]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np

from asr.audio import SAMPLE_RATE, load
from asr.bundle import Bundle, default_bundle
from asr.corpus import read_manifest
from asr.decoding import greedy
from asr.runtime.lattices import lattices
from asr.runtime.torch_engine import TorchEngine
from asr.runtime.windows import Grid

SETTINGS = ((30, 4), (60, 8), (60, 15), (120, 30), (240, 30), (240, 60), (360, 60))


def words(lattice: np.ndarray, bundle: Bundle) -> str:
    letters = lattice[None, :, : bundle.tokenizer.n_units]
    (hypothesis,) = greedy(letters, np.array([len(lattice)]))
    return bundle.tokenizer.decode(hypothesis.units)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    bundle = Bundle.open(arguments.bundle or default_bundle())
    engine = TorchEngine(bundle, "cpu")
    clips: list[np.ndarray] = []
    for utterance in read_manifest(arguments.manifest)[0]:
        clips.append(load(utterance.audio).samples)
        if sum(map(len, clips)) > arguments.seconds * SAMPLE_RATE:
            break
    wave = np.concatenate(clips)
    whole = words(engine([wave])[0][0], bundle)
    late = words(engine([wave[SAMPLE_RATE:]])[0][0], bundle)
    print(f"{len(wave) / SAMPLE_RATE:.0f} s, {len(whole.split())} words in one pass")
    print(f"one pass from 1 s on: {jiwer.wer(whole, late):.2%} of words differ")
    print(f"{'window s':>9} {'context s':>10} {'words that differ':>18}")
    for window, context in SETTINGS:
        frame = bundle.model.frame_seconds
        grid = replace(Grid.of(bundle), longest=int(window / frame), context=int(context / frame))
        (lattice,) = lattices(engine, [wave], grid)
        print(f"{window:9} {context:10} {jiwer.wer(whole, words(lattice, bundle)):18.2%}")


if __name__ == "__main__":
    main()
