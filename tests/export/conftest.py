"""Checkpoints to export."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.fixture
def changed_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a copy of the tiny checkpoint after `change(content)`."""

    def changed(change: Callable[[dict[str, Any]], object]) -> Path:
        content = torch.load(tiny_checkpoint, weights_only=True)
        change(content)
        torch.save(content, tmp_path / "changed.ckpt")
        return tmp_path / "changed.ckpt"

    return changed
