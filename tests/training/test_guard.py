"""Values that are not finite never reach the weights, and skipped steps are reported."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from runs import TINY, fitted

from asr.corpus.dataset import Batch
from asr.errors import AsrError
from asr.training.callbacks.guard import Guard
from asr.training.module import CtcTraining


class Poison(L.Callback):
    """Spoils chosen batches, counted from 0, and keeps the weights from before each step."""

    def __init__(self, batches: set[int], spoil: Callable[[Batch, CtcTraining], None]) -> None:
        self._batches = batches
        self._spoil = spoil
        self.weights: list[torch.Tensor] = []
        self.moments: list[float] = []
        self.ids: list[str] = []

    def on_train_batch_start(
        self,
        trainer: Any,  # noqa: ARG002
        pl_module: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        if batch_idx in self._batches:
            self._spoil(batch, pl_module)
            self.ids += [utterance.id for utterance in batch.utterances]

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.weights.append(pl_module.network.head.weight.detach().clone())
        state = trainer.optimizers[0].state[pl_module.network.head.weight]
        self.moments.append(float(state["exp_avg"].sum()) if state else 0.0)


def nan_sound(batch: Batch, module: CtcTraining) -> None:  # noqa: ARG001
    batch.wave[0, 100:200] = math.nan


def nan_gradient(batch: Batch, module: CtcTraining) -> None:  # noqa: ARG001
    weight = module.network.recurrent.norms[0].weight
    handle = weight.register_hook(lambda gradient: (handle.remove(), gradient * math.inf)[1])


def guard_of(trainer: L.Trainer) -> Guard:
    (guard,) = [callback for callback in trainer.callbacks if isinstance(callback, Guard)]
    return guard


@pytest.mark.parametrize(
    ("spoil", "what"), [(nan_sound, "the loss"), (nan_gradient, "the gradient")]
)
def test_a_step_is_skipped_named_and_counted(
    spoil: Callable[[Batch, CtcTraining], None],
    what: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    poison = Poison({2}, spoil)
    module = CtcTraining(network=TINY)
    trainer = fitted(module, poison, default_root_dir=tmp_path)
    assert torch.equal(poison.weights[1], poison.weights[2])
    assert poison.moments[1] == poison.moments[2]
    assert not torch.equal(poison.weights[2], poison.weights[3])
    assert all(weight.isfinite().all() for weight in module.parameters())
    assert guard_of(trainer).skipped == 1
    assert f"step 3: {what} of {poison.ids[0]} is not finite: skipped" in caplog.text
    assert "1 step skipped" in caplog.text


def test_all_batches_of_a_step_are_skipped_together(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    poison = Poison({2}, nan_sound)  # the first of the second step's two
    trainer = fitted(
        CtcTraining(network=TINY),
        poison,
        accumulate_grad_batches=2,
        max_steps=3,
        gradient_clip_val=1.0,
        default_root_dir=tmp_path,
    )
    assert torch.equal(poison.weights[1], poison.weights[3])
    assert not torch.equal(poison.weights[3], poison.weights[5])
    assert poison.weights[5].isfinite().all() and guard_of(trainer).skipped == 1
    assert f"the loss of {poison.ids[0]} is" in caplog.text  # its neighbour is not accused


def test_training_stops_when_patience_ends(tmp_path: Path) -> None:
    poison = Poison(set(range(1, 9)), nan_sound)
    module = CtcTraining(network=TINY, patience=2)
    with pytest.raises(AsrError, match="3 steps in a row") as caught:
        fitted(module, poison, max_steps=9, default_root_dir=tmp_path)
    assert poison.ids[2] in str(caught.value) and "learning_rate" in str(caught.value)
    assert all(weight.isfinite().all() for weight in module.parameters())


def test_a_run_that_learnt_nothing_fails(tmp_path: Path) -> None:
    poison = Poison(set(range(3)), nan_sound)
    module = CtcTraining(network=TINY, patience=99)
    with pytest.raises(AsrError, match=r"nothing was learnt: .* each of the 3 steps") as caught:
        fitted(module, poison, max_steps=3, default_root_dir=tmp_path)
    assert poison.ids[2] in str(caught.value)


def test_patience_is_for_steps_in_a_row(tmp_path: Path) -> None:
    poison = Poison({1, 2, 4, 5}, nan_sound)
    module = CtcTraining(network=TINY, patience=2)
    trainer = fitted(module, poison, max_steps=8, default_root_dir=tmp_path)
    assert guard_of(trainer).skipped == 4


class Half(MixedPrecision):
    """What Lightning does for fp16 on a GPU, on a CPU: bfloat16 with fp16's scaled loss."""

    def __init__(self, scale: float) -> None:
        super().__init__("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))

    def autocast_context_manager(self) -> torch.autocast:
        return torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False)


def test_a_scale_that_can_be_halved_is_not_held_against_a_step(tmp_path: Path) -> None:
    precision = Half(2.0**127)  # overflows at first
    module = CtcTraining(network=TINY, patience=0, loss_per="utterance")
    poison = Poison(set(), nan_sound)
    trainer = fitted(module, poison, plugins=[precision], max_steps=9, default_root_dir=tmp_path)
    assert precision.scaler is not None and precision.scaler.get_scale() < 2.0**127
    assert 0 < guard_of(trainer).skipped < 9
    assert not torch.equal(poison.weights[0], poison.weights[-1])


def test_a_loss_that_is_not_finite_counts_with_a_scale_too(tmp_path: Path) -> None:
    module = CtcTraining(network=TINY, patience=0)
    with pytest.raises(AsrError, match="1 step in a row"):
        fitted(module, Poison({1}, nan_sound), plugins=[Half(256.0)], default_root_dir=tmp_path)
    assert all(weight.isfinite().all() for weight in module.parameters())


def short(batch: Batch, module: CtcTraining) -> None:  # noqa: ARG001
    batch.wave_lengths[0] = 4000  # a quarter of a second for a whole sentence


def test_an_utterance_out_of_reach_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    poison = Poison({1}, short)
    trainer = fitted(CtcTraining(network=TINY), poison, default_root_dir=tmp_path)
    assert guard_of(trainer).unreachable == set(poison.ids) and guard_of(trainer).skipped == 0
    assert f"left out: {poison.ids[0]}" in caplog.text
    assert poison.weights[-1].isfinite().all()
