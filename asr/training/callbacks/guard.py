"""Keeps values that are not finite out of the weights, and reports what is left out."""

import logging
from collections.abc import Iterable
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from asr.corpus.dataset import Batch
from asr.counting import counted
from asr.errors import AsrError

# A child of Lightning's logger, whose handler it uses: each process names its own utterances.
_log = logging.getLogger(f"lightning.pytorch.{__name__}")
_NAMED = 8  # utterances per message; a batch may have a hundred


class Guard(Callback):
    """Skips each step whose gradient is not finite, names the utterances, and stops in time.

    Gradients are checked when they are complete: summed over the batches of a step
    (`trainer.accumulate_grad_batches`) and averaged over processes, so that all processes decide
    the same. A loss that is not finite shows in them. Utterances that CTC cannot reach are left
    out of the loss; they are named and counted here.

    Args:
        patience: steps in a row that may be skipped. With fp16, a step with a finite loss does not
            count while the scale of the loss can be halved.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._in_a_row = 0
        self._stepped = self._skipping = False
        self._suspects: list[str] = []
        self._batches: list[str] = []
        self._last = "others"  # of the steps skipped before the run was resumed
        self.skipped = 0
        """Steps skipped in the run, also before it was resumed."""
        self.unreachable: set[str] = set()
        """Ids of utterances that this process has left out since it started."""

    def on_before_optimizer_step(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,
        optimizer: torch.optim.Optimizer,  # noqa: ARG002
    ) -> None:
        gradients = [weight.grad for weight in pl_module.parameters() if weight.grad is not None]
        self._stepped = True
        self._skipping = not bool(torch.nn.utils.get_total_norm(gradients).isfinite())
        if self._skipping:
            for weight in pl_module.parameters():
                weight.grad = None  # an optimizer skips weights without a gradient

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        ids = [utterance.id for utterance in batch.utterances]
        self._name_unreachable(_chosen(ids, ~outputs["reachable"]))
        self._batches += ids
        self._suspects += _chosen(ids, ~outputs["losses"].isfinite())
        if not self._stepped:  # the step has more batches
            return
        if self._skipping:
            self._skip(trainer)
        else:
            self._in_a_row = 0
        self._stepped, self._suspects, self._batches = False, [], []

    def _name_unreachable(self, ids: Iterable[str]) -> None:
        if new := set(ids) - self.unreachable:
            self.unreachable |= new
            _log.info(
                "%d utterances have more text than CTC can spell in their frames and are left "
                "out: %s",
                len(self.unreachable),
                _listed(sorted(new)),
            )

    def _skip(self, trainer: L.Trainer) -> None:
        self.skipped += 1
        suspects = _gathered(self._suspects)
        if not (suspects == [] and _can_scale(trainer)):
            self._in_a_row += 1
        what = "the loss" if suspects else "the gradient"
        named = self._last = _listed(suspects or _gathered(self._batches))
        rank_zero_info(f"step {trainer.global_step}: {what} of {named} is not finite: skipped")
        if self._in_a_row > self._patience:
            raise AsrError(
                f"training stopped at step {trainer.global_step}: "
                f"{counted(self._in_a_row, 'step')} in a row had a loss or gradient that is not "
                f"finite, the last with {named}; listen to these clips, or lower "
                "model.optimizer.learning_rate, and resume."
            )

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        if self.skipped and self.skipped >= trainer.global_step:
            raise AsrError(
                "nothing was learnt: the loss or gradient of each of the "
                f"{counted(self.skipped, 'step')} was not finite, the last with {self._last}; "
                "listen to these clips, or lower model.optimizer.learning_rate, and start again."
            )
        if self.skipped:
            rank_zero_info(f"{counted(self.skipped, 'step')} skipped: gradients were not finite")

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped, "in_a_row": self._in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped, self._in_a_row = state_dict["skipped"], state_dict["in_a_row"]


def _can_scale(trainer: L.Trainer) -> bool:
    """Whether fp16's scale of the loss can still be halved."""
    precision = trainer.precision_plugin
    scaler = precision.scaler if isinstance(precision, MixedPrecision) else None
    return scaler is not None and scaler.get_scale() > 1.0


def _chosen(ids: list[str], mask: Tensor) -> list[str]:
    return [ids[row] for row in mask.nonzero().flatten().tolist()]


def _gathered(ids: list[str]) -> list[str]:
    """The ids of all processes."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return ids
    parts: list[list[str]] = [[]] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, ids)
    return [name for part in parts for name in part]


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(ids[:_NAMED]) + more
