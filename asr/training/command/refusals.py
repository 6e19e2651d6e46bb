"""Keys of Lightning's trainer that are refused, as they would have no or another effect here."""

from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.accelerators import CPUAccelerator

from asr.errors import BadOption
from asr.training.checkpoint import epoch_of

_IDLE = {
    "limit_predict_batches": (None, "there is no `asr predict`; use `asr transcribe`"),
    "model_registry": (None, "checkpoints stay in the run's folder"),
    "overfit_batches": (0.0, "write a manifest of the few clips, as configs/smoke.yaml has one"),
    "sync_batchnorm": (False, "the model has no batch normalisation"),
    "use_distributed_sampler": (False, "batches are planned for all processes at once"),
}


def refuse_idle(trainer: Any) -> None:
    """BadOption if a trainer's key would have no effect."""
    for key, (idle, reason) in _IDLE.items():
        if trainer[key] != idle:
            raise BadOption(f"trainer.{key} has no effect here: {reason}.")


def refuse_half_on_cpu(trainer: Trainer, precision: Any) -> None:
    """BadOption if Lightning would train in bfloat16 instead of float16."""
    if str(precision) in ("16", "16-mixed") and isinstance(trainer.accelerator, CPUAccelerator):
        raise BadOption(
            f"trainer.precision {precision} needs a GPU: on a CPU, set bf16-mixed or 32-true."
        )


def refuse_fewer_epochs(trainer: Trainer, checkpoint: Path) -> None:
    """BadOption if a run would end before the epoch of the checkpoint from which it is resumed."""
    epoch, most = epoch_of(checkpoint), trainer.max_epochs
    if most is not None and 0 <= most < epoch:
        raise BadOption(
            f"{trainer.default_root_dir} has reached epoch {epoch}, beyond trainer.max_epochs "
            f"{most}: nothing has changed; give more with --trainer.max_epochs, or export its "
            "checkpoint."
        )
