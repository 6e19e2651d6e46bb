from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.training.augment import SpecAugment
from asr.training.checkpoints import AtomicCheckpointIO
from asr.training.module import OptimizerConfig


@given(st.integers(0, 1000), st.floats(1e-5, 1e-2))
def test_the_rate_rises_to_its_peak_and_falls(step: int, peak: float) -> None:
    optimizer = OptimizerConfig(learning_rate=peak, warmup=0.1, final=0.01)
    rate = optimizer.rate(step, 1000)
    assert 0.0099 * peak <= rate <= peak * 1.0001
    if step < 100:
        assert rate <= optimizer.rate(step + 1, 1000)
    elif step < 1000:
        assert rate >= optimizer.rate(step + 1, 1000)
    assert optimizer.rate(100, 1000) == pytest.approx(peak)


def test_spec_augment_sets_stretches_and_bands_to_the_mean_and_nothing_else() -> None:
    torch.manual_seed(3)
    features = torch.randn(4, 200, 80) + 5.0
    masked = SpecAugment(1, 10, 1, 30)(features)
    changed = masked != features
    assert changed.any(dim=(1, 2)).all()
    assert (masked[changed] == 0.0).all()
    for row in changed:
        frames, bands = row.all(dim=1), row.all(dim=0)  # whole frames, whole bands
        assert torch.equal(row, frames[:, None] | bands[None, :])
        assert frames.sum() < 30 and bands.sum() < 10


def test_spec_augment_with_no_masks_changes_nothing() -> None:
    features = torch.randn(2, 50, 80)
    assert torch.equal(SpecAugment(frequency_masks=0, time_masks=0)(features), features)


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
