"""How fast does training go, and what does it wait for?

    EARSHOT_DATA=FOLDER python benchmarks/train.py [--steps 16] [--cache runs/cache]

Whole steps of configs/default_en.yaml, augmentation, two views and second loss in it, on the device
at hand: seconds of recorded speech per second and the share of them spent waiting for data, for
models and batches of several sizes, in buckets and with batches drawn at random. Then the memory of
the process, without pages of mapped files, after each of three short epochs.
"""

import argparse
import logging
import os
import time
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from asr.audio import SAMPLE_RATE
from asr.corpus.buckets import Buckets
from asr.corpus.dataset import Batch
from asr.training.command import plan
from asr.training.data.module import SpeechData
from asr.training.data.splits import Split

CONFIG = Path(__file__).parents[1] / "configs" / "default_en.yaml"
RUNS = (  # layers, units a direction, padded seconds of a batch, buckets
    (3, 128, 100, 40),
    (4, 256, 50, 40),
    (4, 256, 100, 40),
    (4, 256, 100, 1),
    (4, 256, 200, 40),
    (5, 384, 100, 40),
)
WARM = 3  # steps before the clock starts


class BucketedData(SpeechData):
    """The data of a run with as many buckets as it is told to; one makes random batches."""

    def __init__(self, buckets: int, **options: Any) -> None:
        super().__init__(**options)
        self.buckets = buckets

    def _buckets(self, split: Split, **settings: Any) -> Buckets:
        return super()._buckets(split, count=self.buckets, **settings)


class Clock(Callback):
    """Times the steps behind the first few, and what lies between them."""

    def __init__(self) -> None:
        self.steps = 0
        self.began = self.ended = self.speech = self.waited = 0.0
        self.memory: list[float] = []

    def on_train_batch_end(
        self, trainer: Any, module: Any, out: Any, batch: Batch, index: int
    ) -> None:
        self.steps += 1
        self.ended, self.waited = time.perf_counter(), trainer.train_dataloader.waited
        if self.steps <= WARM:
            self.began, trainer.train_dataloader.waited = self.ended, 0.0
        else:
            self.speech += float(batch.wave_lengths.sum()) / SAMPLE_RATE

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        if (status := Path("/proc/self/status")).exists():
            line = next(row for row in status.read_text().splitlines() if "RssAnon" in row)
            self.memory.append(int(line.split()[1]) / 1024)


def train(
    arguments: argparse.Namespace, layers: int, hidden: int, seconds: int, buckets: int, epochs: int
) -> tuple[Clock, int]:
    """The clock of a run, and its model's parameters."""
    L.seed_everything(1, verbose=False)
    given = {"data.root": arguments.root, "model.network.layers": layers}
    given |= {"model.network.hidden": hidden}
    module, _ = plan.built(["--config", str(CONFIG), *(f"--{key}={given[key]}" for key in given)])
    clock = Clock()
    data = BucketedData(
        buckets,
        root=arguments.root,
        train=arguments.train,
        dev=arguments.train,
        bad_lines="drop",
        batch_seconds=seconds,
        short_first=0,
        cache=arguments.cache,
        workers=arguments.workers,
    )
    steps = arguments.steps + (WARM if epochs == 1 else 0)
    trainer = L.Trainer(
        max_epochs=-1,
        max_steps=steps * epochs,  # a corpus of fewer batches is gone through again
        limit_train_batches=steps if epochs > 1 else None,
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default=os.environ.get("EARSHOT_DATA"))
    parser.add_argument("--train", default="train.jsonl")
    parser.add_argument("--cache", default="runs/cache")
    parser.add_argument("--steps", type=int, default=16, help="timed of each run; at least 1")
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{device}, {torch.get_num_threads()} threads, {arguments.precision}")
    print(f"{'model':18} {'parameters':>10} {'batch':>6} {'drawn':>8} {'speed':>7} {'waiting':>8}")
    for layers, hidden, seconds, buckets in RUNS:
        clock, parameters = train(arguments, layers, hidden, seconds, buckets, epochs=1)
        taken = clock.ended - clock.began
        print(
            f"{f'{layers} layers of {hidden}':18} {parameters / 1e6:9.1f}M {seconds:4} s "
            f"{'random' if buckets == 1 else 'buckets':>8} {clock.speech / taken:7.0f} "
            f"{clock.waited / taken:8.1%}",
            flush=True,
        )
    arguments.steps = max(1, arguments.steps // 2)
    clock, _ = train(arguments, 3, 128, 100, 40, epochs=3)
    print("memory after each epoch:", ", ".join(f"{size:.0f} MiB" for size in clock.memory))


if __name__ == "__main__":
    main()
