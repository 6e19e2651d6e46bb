"""Checkpoints that are whole or not there at all, and what they say of themselves."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins import TorchCheckpointIO


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to disk, then renames.

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
        os.replace(partial, target)


class LastCheckpoint(ModelCheckpoint):
    """Keeps `last.ckpt`, the end of the last epoch.

    A class of its own, so that its state is never taken for that of a callback from a config.
    `save_last` would save only when the best does.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "last",
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )


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
