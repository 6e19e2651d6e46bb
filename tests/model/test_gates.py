"""The gates that are shown are those of the model that runs."""

import math
from pathlib import Path

import pytest
import torch

from asr.audio import load
from asr.errors import BadOption
from asr.model import AcousticModel, ModelConfig
from asr.model.gates import Gates, gates


def test_the_opened_layers_end_in_what_the_fused_ones_give(clips: list[Path]) -> None:
    torch.manual_seed(2)
    config = ModelConfig(layers=2, hidden=16, channels=4, self_conditioning=1)
    model = AcousticModel(config, 10).eval()
    torch.nn.init.normal_(model.recurrent.conditioning.feedback.weight)
    wave = torch.from_numpy(load(clips[0]).samples[:48_000])
    found = list(gates(model, wave))
    assert [(item.layer, item.direction) for item in found] == [
        (1, "ahead"), (1, "back"), (2, "ahead"), (2, "back"),
    ]  # fmt: skip
    features, lengths = model.features(wave[None], torch.tensor([len(wave)]))
    x, lengths = model.subsampling(features, lengths)
    for layer, norm in zip(model.recurrent.layers, model.recurrent.norms, strict=True):
        ahead, back, *found = found
        both = layer(x, lengths)
        opened = torch.cat([ahead.hidden, back.hidden], dim=-1)
        assert torch.allclose(opened, both[0], atol=1e-5)
        assert torch.allclose(ahead.hidden, ahead.output * ahead.cell.tanh())
        x = model.recurrent.passed_on(ahead.layer, norm(both))


def test_half_of_what_a_cell_holds_is_left_after_its_half_life() -> None:
    forget = torch.full((100, 1), 0.9)
    none = torch.zeros(100, 1)
    life = Gates(1, "ahead", none, forget, none, none, none).half_life(0.04)
    assert 0.9 ** (float(life) / 0.04) == pytest.approx(0.5)
    assert float(life) == pytest.approx(0.04 * math.log(0.5) / math.log(0.9))


def test_what_has_no_gates_is_refused() -> None:
    for config, samples in (
        (ModelConfig(layers=1, hidden=8, cell="gru"), 9000),
        (ModelConfig(), 9),
    ):
        with pytest.raises(BadOption):
            next(gates(AcousticModel(config, 5), torch.zeros(samples)))
