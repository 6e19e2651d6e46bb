"""The schedule, and checkpoints that are whole or not there."""

from pathlib import Path
from typing import Any, Literal

import lightning as L
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Callback
from runs import TINY, fitted, small_data

from asr.errors import BadOption
from asr.training.callbacks.checkpoints import AtomicCheckpointIO, newest
from asr.training.data.loader import Place
from asr.training.module import CtcTraining
from asr.training.optimizer import OptimizerConfig


@given(st.integers(0, 1000), st.floats(1e-5, 1e-2), st.sampled_from(["cosine", "one-cycle"]))
def test_the_rate_rises_to_its_peak_and_falls(
    step: int, peak: float, schedule: Literal["cosine", "one-cycle"]
) -> None:
    optimizer = OptimizerConfig(peak, warmup=0.1, final=0.01, schedule=schedule)
    rate = optimizer.rate(step, 1000)
    assert 0.0099 * peak <= rate <= peak * 1.0001
    if step < 100:
        assert rate <= optimizer.rate(step + 1, 1000)
    elif step < 1000:
        assert rate >= optimizer.rate(step + 1, 1000)
    assert optimizer.rate(100, 1000) == pytest.approx(peak)
    assert optimizer.rate(1000, 1000) == pytest.approx(0.01 * peak)


def test_one_cycle_runs_momentum_against_the_rate() -> None:
    cycle = OptimizerConfig(schedule="one-cycle", warmup=0.25)
    assert [cycle.momentum(step, 100) for step in (0, 25, 100)] == pytest.approx([0.95, 0.85, 0.95])
    assert OptimizerConfig().momentum(50, 100) == 0.9
    half = cycle.rate(63, 100), OptimizerConfig(warmup=0.25).rate(63, 100)
    assert half == pytest.approx((0.5e-3, 0.5e-3), rel=0.05)  # a line and a cosine cross there


class Unsavable:
    def __reduce__(self) -> Any:
        raise RuntimeError("the disk is full")


def test_a_failed_save_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"step": 1}, path)
    with pytest.raises(RuntimeError):
        writer.save_checkpoint({"weights": torch.ones(1000), "bad": Unsavable()}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}


def test_the_one_before_is_kept_and_taken_where_the_last_is_gone_or_broken(tmp_path: Path) -> None:
    last, writer = tmp_path / "last.ckpt", AtomicCheckpointIO()
    assert newest(tmp_path) is None
    for step in (1, 2, 3):
        writer.save_checkpoint({"step": step, "weights": torch.ones(5000)}, last)
    assert newest(tmp_path) == last
    whole = last.read_bytes()
    for broken in (whole[:-300], b"", whole[:9000] + bytes(50) + whole[9050:]):
        last.write_bytes(broken)
        previous = newest(tmp_path)
        assert previous == tmp_path / "previous.ckpt"
        assert torch.load(previous, weights_only=True)["step"] == 2
    last.unlink()  # as a kill between two renames leaves it
    assert newest(tmp_path) == tmp_path / "previous.ckpt"


@given(st.integers(1, 9), st.integers(0, 40), st.integers(1, 9), st.integers(0, 40))
def test_the_place_counts_on_from_where_it_was_saved(
    batches: int, before: int, others: int, after: int
) -> None:
    seen = before
    place = Place(lambda: seen, lambda: batches)
    assert place() == divmod(before, batches)
    resumed = Place(lambda: seen, lambda: batches)
    resumed.begin(*place())
    seen += after
    assert resumed() == place() == divmod(before + after, batches)
    elsewhere = Place(lambda: seen, lambda: others)  # other batches now, from an epoch's begin
    elsewhere.begin(3, 0)
    seen += after
    assert elsewhere() == (3 + after // others, after % others)


class NoGradient(Callback):
    """Gives every weight a gradient of zero, so that only decay moves it."""

    def on_before_optimizer_step(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,
        *_: Any,
    ) -> None:
        for weight in pl_module.parameters():
            weight.grad = torch.zeros_like(weight)


def test_decay_leaves_biases_and_norms_alone(tmp_path: Path) -> None:
    rate, decay = 0.01, 0.5
    module = CtcTraining(
        network=TINY,
        middle_layer=1,
        optimizer=OptimizerConfig(rate, warmup=0.0, final=1.0, weight_decay=decay),
    )
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    fitted(module, NoGradient(), steps=1, default_root_dir=tmp_path)
    assert {weight.ndim for weight in before.values()} >= {1, 2, 4}
    for name, weight in module.named_parameters():
        kept = 1.0 - rate * decay if weight.ndim > 1 else 1.0
        torch.testing.assert_close(weight.detach(), before[name] * kept, rtol=1e-6, atol=0)


def test_an_optimizer_of_other_groups_is_refused() -> None:
    old = torch.optim.AdamW(CtcTraining(network=TINY).parameters())
    with pytest.raises(BadOption, match=r"earlier version.*init_from"):
        OptimizerConfig().refuse_other_groups({"optimizer_states": [old.state_dict()]})


@pytest.mark.parametrize("language, metric", [("de", "val/wer"), ("zh-CN", "val/cer")])
def test_the_best_has_the_fewest_errors_in_what_the_language_parts(
    language: str, metric: str
) -> None:
    module, trainer = CtcTraining(TINY), L.Trainer(accelerator="cpu", logger=False)
    trainer.datamodule = small_data(language=language)  # type: ignore[attr-defined]
    module.trainer = trainer
    assert module.monitored == metric
