"""What do five hours and a quarter of an hour of two cores give?

    EARSHOT_DATA=FOLDER python benchmarks/mini.py [--seeds 1]

Trains a small BiLSTM-CTC on train-clean-5 of LibriSpeech for a fixed number of epochs, decodes all
of dev-clean greedily, prints the curve, and ends with 1 where the word error rate leaves the band
that earlier runs gave (docs/results.md): recipe, seeds and logs of an end-to-end LSTM-CTC on five
hours.
"""

import argparse
import csv
import os
import sys
import tempfile
import time
from pathlib import Path

from asr.bundle import export
from asr.evaluation import evaluate
from asr.runtime import Recognizer
from asr.training import fit

CONFIG = Path(__file__).parents[1] / "configs" / "mini_librispeech.yaml"
BUDGET = {
    "data.train": "train.jsonl",
    "data.corpora": "[LibriSpeech train-clean-5]",
    "data.dev": "dev-librispeech.jsonl",
    "trainer.max_epochs": "12",
    "trainer.limit_val_batches": "0.1",
    "trainer.enable_progress_bar": "false",
    "model.network.layers": "3",
    "model.network.hidden": "192",
    "model.augment": "null",  # twelve epochs of a small model do not overfit
}
BAND = (0.0, 1.0)
"""Word error rates on dev-clean that a run may end with."""


def curve(run: Path) -> list[tuple[int, float, float, float]]:
    """Epoch, dev loss, WER and CER of each validation."""
    (path,) = run.glob("csv/*/metrics.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/wer"]]
    return [
        (
            int(row["epoch"]) + 1,
            float(row["val/loss"]),
            float(row["val/wer"]),
            float(row["val/cer"]),
        )
        for row in rows
    ]


def train(seed: int, folder: Path, dev: Path) -> float:
    """The word error rate of one run."""
    run = folder / f"seed{seed}"
    given = {
        **BUDGET,
        "trainer.default_root_dir": str(run),
        "seed_everything": str(seed),
        "data.seed": str(seed),
    }
    began = time.perf_counter()
    arguments = [part for key, value in given.items() for part in (f"--{key}", value)]
    fit.run("fit", ["--config", str(CONFIG), *arguments])
    minutes = (time.perf_counter() - began) / 60
    bundle = export(run / "checkpoints" / "last.ckpt", run / "bundle")
    recognizer = Recognizer.load(bundle.path, "cpu")
    score = evaluate(recognizer, dev, decoder="greedy").score
    print(f"seed {seed}: {minutes:.1f} minutes")
    print(f"{'epoch':>5} {'dev loss':>9} {'WER':>7} {'CER':>7}   (a tenth of dev-clean)")
    for epoch, loss, wer, cer in curve(run):
        print(f"{epoch:5} {loss:9.3f} {wer:7.1%} {cer:7.1%}")
    print(f"dev-clean, whole, int8: WER {score.wer:.2%}, CER {score.cer:.2%}", flush=True)
    return score.wer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--keep", type=Path, help="folder for the runs; else a temporary one")
    arguments = parser.parse_args()
    root = Path(os.environ["EARSHOT_DATA"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        rates = [train(seed, folder, root / "dev-librispeech.jsonl") for seed in arguments.seeds]
    low, high = BAND
    if not all(low <= rate <= high for rate in rates):
        sys.exit(f"outside the band {low:.1%} to {high:.1%}")


if __name__ == "__main__":
    main()
