"""Checkpoints that are whole or not there at all, and which of them a run goes on from."""

import os
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_info

from asr.errors import BadOption

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to disk, then renames; `last.ckpt` leaves the one before.

    Lightning's own writer has left truncated files behind a kill (pytorch-lightning#19970).
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: Any,
        storage_options: Any | None = None,  # noqa: ARG002
    ) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")  # one name: a kill leaves one file
        with partial.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        if target.name == LAST and target.exists():
            os.replace(target, target.with_name(PREVIOUS))
        os.replace(partial, target)


def newest(folder: Path) -> Path | None:
    """The last whole checkpoint in a run's folder of checkpoints, or None where there is none.

    Raises:
        BadOption: there are some, and none of them can be read.
    """
    found = [path for name in (LAST, PREVIOUS) if (path := folder / name).exists()]
    for path in found:
        if _is_whole(path):
            return path
        rank_zero_info(f"{path} is damaged: the one before it is taken")
    if found:
        raise BadOption(
            f"no checkpoint in {folder} can be read; restore one from a copy, or start a new run "
            "in another folder."
        )
    return None


def _is_whole(path: Path) -> bool:
    """Whether every file of the archive that torch writes has its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


@dataclass(frozen=True)
class Saving:
    """When `last.ckpt` is saved, beside the end of each epoch; it holds the place in an epoch."""

    every_steps: int = 0
    """Optimizer steps from one to the next; 0 for none."""
    every_minutes: float = 10.0
    """Minutes from one to the next, at most lost to a kill; 0 for none."""

    def __post_init__(self) -> None:
        if self.every_steps < 0 or self.every_minutes < 0:
            raise BadOption(
                f"saving cannot be every {self.every_steps} steps or {self.every_minutes} "
                "minutes: give 0 for none, or more."
            )


class LastCheckpoint(Checkpoint):
    """Keeps `last.ckpt`, and `previous.ckpt`, the one before.

    Only ever where an optimizer step is done: gradients of half a step are in no checkpoint. The
    last step of an epoch is left to the epoch's end, behind validation.
    """

    def __init__(self, folder: Path, saving: Saving) -> None:
        self._path = folder / LAST
        self._saving = saving
        self._saved_at = 0.0
        self._step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        self._saved_at = time.monotonic()
        self._step = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        stepped, self._step = trainer.global_step != self._step, trainer.global_step
        if stepped and not _epoch_is_done(trainer) and self._is_due(trainer):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        if _epoch_is_done(trainer):  # else training stops within it, and the last step has saved
            self._save(trainer)

    def _is_due(self, trainer: L.Trainer) -> bool:
        steps, minutes = self._saving.every_steps, self._saving.every_minutes
        if steps and trainer.global_step % steps == 0:
            return True
        if trainer.should_stop or 0 < trainer.max_steps <= trainer.global_step:
            return True
        late = bool(minutes) and time.monotonic() - self._saved_at >= 60.0 * minutes
        if trainer.world_size > 1:
            # Clocks differ, and all must save together. SIGTERM reaches them at different steps.
            return bool(minutes) and trainer.strategy.broadcast(late)
        return late or trainer.received_sigterm

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self._path, weights_only=False)
        self._saved_at = time.monotonic()


def _epoch_is_done(trainer: L.Trainer) -> bool:
    return trainer.fit_loop.epoch_loop.batch_progress.is_last_batch


class BestCheckpoint(ModelCheckpoint):
    """Keeps `best.ckpt`, the one with the fewest word errors on the development set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "best",
            monitor="val/wer",
            mode="min",
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )
