"""The gates that are shown are those of the model that runs."""

import math
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
import torch

from asr.audio import load
from asr.errors import BadOption
from asr.model import AcousticModel, ModelConfig
from asr.model.gates import LayerTrace, held, trace
from asr.model.recurrent import Cell

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")


def model(cell: Cell, directions: Literal[1, 2] = 2) -> AcousticModel:
    torch.manual_seed(2)
    config = ModelConfig(
        cell=cell,
        layers=2,
        hidden=16,
        channels=4,
        directions=directions,
        projection=12 if directions == 1 else 0,
        residual=True,
        self_conditioning=1,
    )
    made = AcousticModel(config, 10, 7).eval()
    assert made.recurrent.conditioning is not None
    torch.nn.init.normal_(made.recurrent.conditioning.feedback.weight)
    return made


@pytest.fixture(scope="module")
def wave(clips: list[Path]) -> torch.Tensor:
    return torch.from_numpy(load(clips[0]).samples[:48_000])


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_the_opened_layers_end_in_what_the_fused_ones_give(
    cell: Cell, directions: Literal[1, 2], wave: torch.Tensor
) -> None:
    network = model(cell, directions)
    found = list(trace(network, wave))
    names = ("ahead", "back")[:directions]
    assert [(item.layer, item.direction) for item in found] == list(product((1, 2), names))
    features, lengths = network.features(wave[None], torch.tensor([len(wave)]))
    x, lengths = network.subsampling(features, lengths)
    for layer in network.recurrent.layers:
        each, found = found[:directions], found[directions:]
        ahead, both = each[0], layer(x, lengths)
        opened = torch.cat([item.curves["hidden"] for item in each], dim=-1)
        assert torch.allclose(opened, both[0], atol=1e-5)
        if cell == "lstm":
            output, memory = ahead.curves["output"], ahead.curves["cell"]
            assert torch.allclose(ahead.curves["hidden"], output * memory.tanh())
        x = network.recurrent.output(ahead.layer, x, both)
        x = network.recurrent.passed_on(ahead.layer, x)


@pytest.mark.parametrize(("cell", "directions"), [("lstm", 2), ("gru", 2), ("lstm", 1)])
def test_a_gate_that_is_held_changes_what_is_read(
    cell: Cell, directions: Literal[1, 2], wave: torch.Tensor
) -> None:
    network = model(cell, directions)
    with torch.no_grad():
        own, _ = network(wave[None], torch.tensor([len(wave)]))
    nothing_kept = held(network, wave, 1, 0.0)
    assert nothing_kept.shape == own[0].shape
    assert (nothing_kept - own[0]).abs().max() > 0.01
    for heads in nothing_kept.split([10, 7], dim=-1):
        assert torch.allclose(heads.exp().sum(-1), torch.ones(len(heads)), atol=1e-5)


def test_phones_do_not_hear_of_layers_above_their_own(wave: torch.Tensor) -> None:
    torch.manual_seed(2)
    config = ModelConfig(layers=3, hidden=16, channels=4, phone_layer=2)
    network = AcousticModel(config, 10, 7).eval()
    with torch.no_grad():
        own, _ = network(wave[None], torch.tensor([len(wave)]))
    letters, phones = (held(network, wave, 3, 0.0) - own[0]).abs().split([10, 7], dim=-1)
    assert letters.max() > 1e-3 and phones.max() < 1e-5
    assert (held(network, wave, 2, 0.0) - own[0])[:, 10:].abs().max() > 1e-3


def test_a_gate_held_where_it_stands_changes_nothing(wave: torch.Tensor) -> None:
    network = model("lstm")
    hidden = network.config.hidden
    for direction in (network.recurrent.layers[1].ahead, network.recurrent.layers[1].back):
        with torch.no_grad():  # a forget gate that is 0.75 whatever comes in
            direction.weight_ih_l0[hidden : 2 * hidden] = 0.0
            direction.weight_hh_l0[hidden : 2 * hidden] = 0.0
            direction.bias_ih_l0[hidden : 2 * hidden] = math.log(3.0)
            direction.bias_hh_l0[hidden : 2 * hidden] = 0.0
    with torch.no_grad():
        own, _ = network(wave[None], torch.tensor([len(wave)]))
    torch.testing.assert_close(held(network, wave, 2, 0.75), own[0], atol=1e-4, rtol=0)


def test_half_of_what_a_cell_holds_is_left_after_its_half_life() -> None:
    curves = {"forget": torch.full((100, 1), 0.9), "cell": torch.zeros(100, 1)}
    life = LayerTrace(1, "ahead", curves, "cell", "forget").half_life(0.04)
    assert life is not None
    assert 0.9 ** (float(life) / 0.04) == pytest.approx(0.5)
    assert float(life) == pytest.approx(0.04 * math.log(0.5) / math.log(0.9))


def test_a_vanilla_cell_has_no_half_life(wave: torch.Tensor) -> None:
    network = model("rnn")
    assert all(item.half_life(0.04) is None for item in trace(network, wave))
    with pytest.raises(BadOption, match="no gate"):
        held(network, wave, 1, 0.5)


def test_what_cannot_be_is_refused(wave: torch.Tensor) -> None:
    with pytest.raises(BadOption, match="too short"):
        next(trace(model("lstm"), torch.zeros(9)))
    with pytest.raises(BadOption, match="give 1 to 2"):
        held(model("lstm"), wave, 3, 0.5)
    with pytest.raises(BadOption, match="from 0 to 1"):
        held(model("lstm"), wave, 1, 1.5)
