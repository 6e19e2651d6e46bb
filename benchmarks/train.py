"""How fast does training go, and what does it wait for?

    python benchmarks/train.py [--root FOLDER] [--steps 40] [--precision bf16-mixed]

Whole steps with augmentation, on the device at hand, for models of several sizes: seconds of
recorded speech per second, the share of the time spent waiting for data, and the same with one
bucket, which is random batches. Then the host's memory after each of three short epochs.
"""

import argparse
import logging
import os
import time
import warnings
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

import asr.corpus.buckets
from asr.audio import SAMPLE_RATE
from asr.corpus import Batch
from asr.model import ModelConfig
from asr.training.augment import Augment, Gain, Reverb, SpecAugment, Speed
from asr.training.data import SpeechData
from asr.training.module import CtcTraining

SIZES = {"3 layers of 128": (3, 128), "4 layers of 256": (4, 256), "5 layers of 384": (5, 384)}
WARM = 5  # steps before the clock starts


class Clock(Callback):
    """Adds up what steps take, and what lies between them."""

    def __init__(self) -> None:
        self.seconds = self.waiting = self.speech = 0.0
        self.steps = 0
        self._ended: float | None = None
        self._began = 0.0
        self.memory: list[float] = []

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Batch, index: int) -> None:
        self._began = time.perf_counter()
        if self._ended is not None and self.steps > WARM:
            self.waiting += self._began - self._ended
            self.seconds += self._began - self._ended

    def on_train_batch_end(
        self, trainer: Any, module: Any, out: Any, batch: Batch, index: int
    ) -> None:
        self._ended = time.perf_counter()
        self.steps += 1
        if self.steps > WARM:
            self.seconds += self._ended - self._began
            self.speech += float(batch.wave_lengths.sum()) / SAMPLE_RATE

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
        self._ended = None


def fit(
    arguments: argparse.Namespace, layers: int, hidden: int, epochs: int = 1
) -> tuple[Clock, int]:
    L.seed_everything(1, verbose=False)
    clock = Clock()
    module = CtcTraining(
        network=ModelConfig(layers=layers, hidden=hidden),
        augment=Augment(speed=Speed(), reverb=Reverb(), gain=Gain(), masks=SpecAugment()),
    )
    data = SpeechData(
        root=arguments.root,
        train=arguments.train,
        dev=arguments.train,
        bad_lines="drop",
        batch_seconds=arguments.batch_seconds,
        short_first=0,
        cache=arguments.cache,
        workers=arguments.workers,
    )
    trainer = L.Trainer(
        max_epochs=epochs,
        limit_train_batches=arguments.steps + WARM,
        limit_val_batches=0,
        precision=arguments.precision,
        gradient_clip_val=1.0,
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        devices=1,
    )
    trainer.fit(module, data)
    return clock, sum(weight.numel() for weight in module.network.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=os.environ.get("EARSHOT_DATA"))
    parser.add_argument("--train", default="train.jsonl")
    parser.add_argument("--cache", default="runs/cache")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-seconds", type=float, default=100.0)
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    print(f"{'model':18} {'parameters':>10} {'batches':>10} {'speech s/s':>10} {'waiting':>8}")
    finest = asr.corpus.buckets._BUCKETS
    for name, (layers, hidden) in SIZES.items():
        for batches, count in (("buckets", finest), ("random", 1)):
            asr.corpus.buckets._BUCKETS = count
            clock, parameters = fit(arguments, layers, hidden)
            print(
                f"{name:18} {parameters / 1e6:9.1f}M {batches:>10} "
                f"{clock.speech / clock.seconds:10.0f} {clock.waiting / clock.seconds:8.1%}",
                flush=True,
            )
    asr.corpus.buckets._BUCKETS = finest
    clock, _ = fit(arguments, *SIZES["4 layers of 256"], epochs=3)
    print("host memory after each epoch:", ", ".join(f"{size:.0f} MiB" for size in clock.memory))


if __name__ == "__main__":
    main()
