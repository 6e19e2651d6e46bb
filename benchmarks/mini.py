"""What do five hours of speech and twelve minutes of two cores give?

    EARSHOT_DATA=FOLDER python benchmarks/mini.py [--seeds 1]

Trains a small BiLSTM-CTC on train-clean-5 of LibriSpeech for a fixed number of epochs, decodes all
of dev-clean greedily, prints the curve, and ends with 1 where the word error rate leaves the band
that earlier runs gave (docs/results.md): recipe, seeds and logs of an end-to-end LSTM-CTC on five
hours. `--quick` goes the same way in a few steps, for whoever wants to see that it works.

With manifests of `asr data librispeech`: --train train-clean-5.jsonl --dev dev-clean.jsonl.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from asr.evaluation import evaluate
from asr.export import export
from asr.runtime import Recognizer
from asr.training.command import fit

CONFIG = Path(__file__).parents[1] / "configs" / "mini_librispeech.yaml"
BUDGET = {
    "data.corpora": "[LibriSpeech train-clean-5]",
    "data.batch_seconds": "60",
    "trainer.max_epochs": "8",
    "trainer.enable_progress_bar": "false",
    "trainer.enable_model_summary": "false",
    "model.network.layers": "3",
    "model.network.hidden": "192",
    "model.augment": "null",  # eight epochs of a small model do not overfit
}
QUICK = {"trainer.max_epochs": "2", "trainer.limit_train_batches": "3"}
BAND = (0.825, 0.865)
"""Word error rates on dev-clean that a run may end with: 84.5 % was seen, two points either way."""


def every(manifest: Path, step: int, out: Path) -> Path:
    """A manifest of every so many lines of another one, wherever it is written."""
    lines = manifest.read_text(encoding="utf-8").splitlines()[::step]
    values = [json.loads(line) for line in lines]
    for line in values:
        line["audio"] = str((manifest.parent / line["audio"]).resolve())
    out.write_text("".join(json.dumps(line) + "\n" for line in values), encoding="utf-8")
    return out


def train(arguments: argparse.Namespace, seed: int, folder: Path, dev: Path) -> Path:
    """The folder of a finished run."""
    run = folder / f"seed{seed}"
    given = BUDGET | (QUICK if arguments.quick else {})
    given |= {"data.root": arguments.root, "data.train": arguments.train, "data.dev": str(dev)}
    given |= {"data.cache": arguments.cache, "trainer.default_root_dir": str(run)}
    given |= {"seed_everything": str(seed), "data.seed": str(seed)}
    parts = [part for key, value in given.items() for part in (f"--{key}", value)]
    fit.run("fit", ["--config", str(CONFIG), *parts])
    return run


def print_curve(run: Path) -> None:
    """Losses and error rates of each validation."""
    (path,) = run.glob("csv/*/metrics.csv")
    print(f"{'epoch':>5} {'dev loss':>9} {'WER':>7} {'CER':>7}   (a tenth of the clips)")
    with path.open(encoding="utf-8", newline="") as file:
        for row in (row for row in csv.DictReader(file) if row["val/wer"]):
            loss, wer, cer = (float(row[f"val/{name}"]) for name in ("loss", "wer", "cer"))
            print(f"{int(row['epoch']) + 1:5} {loss:9.3f} {wer:7.1%} {cer:7.1%}")


def measured(run: Path, dev: Path) -> float:
    """The word error rate of a run's last weights, exported as they would ship."""
    bundle = export(run / "checkpoints" / "last.ckpt", run / "bundle")
    score = evaluate(Recognizer.load(bundle.path, "cpu"), dev, decoder="greedy").score
    print(
        f"{score.words} words, int8, greedy: WER {score.wer:.2%}, CER {score.cer:.2%}", flush=True
    )
    return score.wer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default=os.environ.get("EARSHOT_DATA"))
    parser.add_argument("--train", default="train.jsonl")
    parser.add_argument("--dev", default="dev-librispeech.jsonl")
    parser.add_argument("--cache", default="runs/cache")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--keep", type=Path, help="folder for the runs; else a temporary one")
    parser.add_argument("--quick", action="store_true", help="a few steps; the rate means nothing")
    arguments = parser.parse_args()
    if arguments.root is None:
        parser.error("give --root, or set EARSHOT_DATA")
    rates = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        whole = Path(arguments.root) / arguments.dev
        heard = every(whole, 100 if arguments.quick else 1, folder / "dev.jsonl")
        watched = every(heard, 10, folder / "tenth.jsonl")
        for seed in arguments.seeds:
            began = time.perf_counter()
            run = train(arguments, seed, folder, watched)
            print(f"seed {seed}: {(time.perf_counter() - began) / 60:.1f} minutes")
            print_curve(run)
            rates.append(measured(run, heard))
    low, high = BAND
    if not arguments.quick and not all(low <= rate <= high for rate in rates):
        sys.exit(f"outside the band {low:.1%} to {high:.1%}")


if __name__ == "__main__":
    main()
