"""The throughput of an epoch, and the share of time spent waiting for data."""

import time
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info

from asr.audio import SAMPLE_RATE
from asr.corpus.dataset import Batch
from asr.training.data.loader import ResumableLoader


class Throughput(Callback):
    """Logs `train/speed`, seconds of audio per second, and `train/waiting`, the loader's share.

    Both cover only training steps, not validation and saving.
    """

    def __init__(self) -> None:
        self._began = self._worked = self._speech = 0.0

    def on_train_batch_start(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,  # noqa: ARG002
        batch: Batch,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        self._began = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        self._worked += time.perf_counter() - self._began
        self._speech += float(batch.wave_lengths.sum()) / SAMPLE_RATE

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        loader = cast(ResumableLoader, trainer.train_dataloader)
        own = torch.tensor([self._speech, self._worked, loader.waited], device=pl_module.device)
        self._worked = self._speech = loader.waited = 0.0
        speech, worked, waited = trainer.strategy.reduce(own, reduce_op="sum").tolist()
        seconds = max(worked + waited, 1e-9)
        speed, share = trainer.world_size * speech / seconds, waited / seconds
        pl_module.log_dict({"train/speed": speed, "train/waiting": share}, sync_dist=True)
        rank_zero_info(
            f"epoch {trainer.current_epoch}: {speed:.0f} seconds of speech per second, "
            f"{share:.1%} of the time waiting for data"
        )
