"""Checkpoints that are complete or absent, and the one from which a run is resumed."""

import errno
import os
import shlex
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from asr.errors import AsrError, BadOption
from asr.files import replacing
from asr.training.lightning_internals import RankedCheckpoint, Termination, is_last_batch

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically; the `last.ckpt` before becomes `previous.ckpt`.

    Lightning's own writer has left truncated files after a kill (pytorch-lightning#19970).
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: Any,
        storage_options: Any | None = None,  # noqa: ARG002
    ) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(target, shared=False) as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())  # the new file is complete before the old one is renamed
                if target.name == LAST and target.exists():
                    os.replace(target, target.with_name(PREVIOUS))
        except BaseException as error:
            if (reason := no_space(error)) is None:
                raise
            run = shlex.quote(str(target.parent.parent))
            kept = any((target.parent / name).exists() for name in (LAST, PREVIOUS))
            what = (
                f"go on with `asr fit --resume {run}`; the checkpoint before it is whole"
                if kept
                else "start the run again, as it has no checkpoint yet"
            )
            raise AsrError(
                f"{target} cannot be written ({reason}): free space on its disk, and {what}."
            ) from error


def no_space(error: BaseException | None) -> str | None:
    """The system's message if an error, or its cause, is a full disk; else None."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            return error.strerror
        error = error.__cause__ or error.__context__
    return None


def newest(folder: Path) -> Path | None:
    """The last complete checkpoint in a run's folder of checkpoints, or None.

    Raises:
        BadOption: there are checkpoints, but none can be read.
    """
    candidates = [path for name in (LAST, PREVIOUS) if (path := folder / name).exists()]
    for path in candidates:
        if _is_whole(path):
            return path
        rank_zero_info(f"{path} is damaged: the one before it is taken")
    if candidates:
        raise BadOption(
            f"no checkpoint in {folder} can be read; restore one from a copy, or start a new run "
            "in another folder."
        )
    return None


def _is_whole(path: Path) -> bool:
    """Whether every file in torch's archive matches its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


@dataclass(frozen=True)
class Saving:
    """When `last.ckpt` is saved besides the end of each epoch, with the position in an epoch."""

    every_steps: int = 0
    """Optimizer steps between two; 0 for none."""
    every_minutes: float = 10.0
    """Minutes between two, the most that a kill loses; 0 for none."""

    def __post_init__(self) -> None:
        if self.every_steps < 0 or self.every_minutes < 0:
            raise BadOption(
                f"saving cannot be every {self.every_steps} steps or {self.every_minutes} "
                "minutes: give 0 for none, or more."
            )


class LastCheckpoint(Checkpoint):
    """Keeps `last.ckpt`, and `previous.ckpt`, the one before.

    Saves only after an optimizer step, since checkpoints hold no accumulated gradients. After the
    last step of an epoch it saves at the epoch's end, after validation. SIGTERM or Ctrl-C ends the
    run after the next save, which is that of the step, or of the epoch whose validation is under
    way; a second Ctrl-C ends it at once.
    """

    def __init__(self, folder: Path, saving: Saving) -> None:
        self._path = folder / LAST
        self._saving = saving
        self._saved_at = 0.0
        self._step = 0
        self._termination = Termination()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        self._saved_at = time.monotonic()
        self._step = trainer.global_step
        self._termination.listen(trainer)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        stepped, self._step = trainer.global_step != self._step, trainer.global_step
        if stepped and not is_last_batch(trainer) and self._is_due(trainer):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        if is_last_batch(trainer):  # else training stops within it, and its last step saved
            self._save(trainer)

    def on_exception(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,  # noqa: ARG002
        exception: BaseException,  # noqa: ARG002
    ) -> None:
        self._termination.leave()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: ARG002
        self._termination.leave()

    def _is_due(self, trainer: L.Trainer) -> bool:
        steps, minutes = self._saving.every_steps, self._saving.every_minutes
        if steps and trainer.global_step % steps == 0:
            return True
        if trainer.should_stop or 0 < trainer.max_steps <= trainer.global_step:
            return True
        late = bool(minutes) and time.monotonic() - self._saved_at >= 60.0 * minutes
        if trainer.world_size > 1:
            # Clocks differ, and all processes must save together. SIGTERM reaches them at different
            # steps.
            return bool(minutes) and trainer.strategy.broadcast(late)
        return late or self._termination.is_asked

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self._path, weights_only=False)
        self._saved_at = time.monotonic()
        self._termination.pass_on(trainer)


class BestCheckpoint(RankedCheckpoint):
    """Keeps `best.ckpt`, the one with the fewest errors on the development set.

    The model says which errors count, in its `errors`. An error rate of 100 % is that of a model
    that writes nothing, and one that reads a little may have more: from there on errors in
    characters count.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            Path(BEST).stem,
            mode="min",
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.monitor = str(pl_module.monitored)
        super().setup(trainer, pl_module, stage)

    def ranked(self, metrics: Mapping[str, Tensor]) -> Tensor | None:
        errors = metrics.get(str(self.monitor))
        if errors is not None and errors >= 1 and "val/cer" in metrics:
            return 1 + metrics["val/cer"]
        return errors
