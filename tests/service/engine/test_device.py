"""What the device process holds of recordings."""

from pathlib import Path

import numpy as np
import pytest

from service.engine.device import Load, Piece, RunModel, _Device
from service.engine.worker import Memory


def test_what_is_finished_is_forgotten_also_where_the_model_then_fails(tiny_bundle: Path) -> None:
    device = _Device()
    device(Load(tiny_bundle, "cpu"), ())
    memory = Memory()
    memory.append(memoryview(np.zeros(16_000, np.float32).tobytes()))
    device(RunModel((Piece(1, 0, 0, 16_000),), ()), [memory])
    assert list(device._rows) == [1]
    with pytest.raises(ValueError, match="zip"):  # a piece without its samples
        device(RunModel((Piece(2, 0, 0, 16_000),), (1,)), [])
    assert not device._rows
