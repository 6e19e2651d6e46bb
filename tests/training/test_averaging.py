"""The running average of the weights spans the same share of short and long runs."""

import math
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from runs import TINY, fitted
from torch import Tensor

from asr.training.module import CtcTraining

STEPS = 12
SHARE = 0.25


class Watch(Callback):
    """The head's bias behind each step."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def on_train_batch_end(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,
        *_: Any,
    ) -> None:
        self.seen.append(pl_module.network.head.bias.detach().clone())  # type: ignore[operator, union-attr]


def test_the_average_forgets_the_beginning_of_a_run_of_any_length(tmp_path: Path) -> None:
    watch = Watch()
    module = CtcTraining(network=TINY, average=SHARE)
    fitted(module, watch, steps=STEPS, default_root_dir=tmp_path)
    assert len(watch.seen) == STEPS
    # Weights k (k + 1) (k + 2), which a share of a quarter gives: the closed form.
    weights = torch.tensor([float(math.comb(step + 2, 3)) for step in range(1, STEPS + 1)])
    weights /= weights.sum()
    assert weights[0] < 1e-3 and weights[-STEPS // 2 :].sum() > 0.9
    expected = (torch.stack(watch.seen) * weights[:, None]).sum(0)
    torch.testing.assert_close(module.network.head.bias.detach(), expected, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(expected, watch.seen[-1], rtol=1e-4, atol=1e-6)
