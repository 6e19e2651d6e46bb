"""Fine-tune the shipped model on your recordings, export it and measure it.

The folder has `train.jsonl` and `dev.jsonl`, a line `{"audio": "clips/one.wav", "text": "..."}` for
each clip. What follows the bundle goes to `asr fit`: `--trainer.max_epochs 3`, for example.

python examples/fine_tune.py FOLDER my_bundle
"""

import subprocess
import sys
from pathlib import Path


def asr(*arguments: object) -> None:
    """Runs the command `asr`; a failure has said why, and ends the program."""
    if subprocess.run(["asr", *map(str, arguments)]).returncode:
        sys.exit(1)


def fine_tune(folder: Path, bundle: Path, *more: str) -> None:
    """Trains on `folder` and writes a new bundle."""
    run = bundle.with_name(f"{bundle.name}-run")
    places = ("--data.root", folder, "--trainer.default_root_dir", run)
    asr("fit", "--config", "configs/finetune.yaml", *places, *more)
    asr("export", run / "checkpoints" / "best.ckpt", bundle)
    asr("evaluate", folder / "dev.jsonl", "--bundle", bundle)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: fine_tune.py FOLDER BUNDLE [options of asr fit]")
    fine_tune(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
