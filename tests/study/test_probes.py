"""How far back memory reaches: the gradients are those of the model, and vanish as they must."""

from typing import Literal

import numpy as np
import pytest
import torch

from asr.corpus import Utterance
from asr.model.config import Cell
from asr.study.config import Network, Variant
from asr.study.encoders import ctc_of, encoder, fitted, size
from asr.study.probes import Flow, probe
from asr.study.speech import Clips

CELLS: tuple[Cell, ...] = ("rnn", "gru", "lstm")
NETWORK = Network(parameters=8_000, mels=8, channels=2)


def clips(frames: int, count: int = 1) -> Clips:
    """Clips of so many output frames, of noise, with a text."""
    generator = torch.Generator().manual_seed(3)
    features = [torch.randn(4 * frames, 8, generator=generator) for _ in range(count)]
    utterances = [Utterance(str(n), "x.wav", "a cat sat", n) for n in range(count)]  # type: ignore[arg-type]
    return Clips(features, utterances)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_the_parts_of_the_loss_add_up_to_the_gradient_of_ctc(
    cell: Cell, directions: Literal[1, 2]
) -> None:
    model = encoder(Variant(cell, directions), Network(8_000, 2, 8, 2), seed=1).double()
    batch = clips(30).batch([0])
    flow = Flow.through(model, batch)
    parts = [
        torch.autograd.grad(flow.log_probs[t], flow.read, flow.entering[t], retain_graph=True)[0]
        for t in range(30)
    ]
    read = flow.read.detach()[None].requires_grad_()
    states, lengths = model.recurrent(read, torch.tensor([30]))
    log_probs = torch.log_softmax(model.head(states).float(), dim=-1)
    loss = torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1), batch.units, lengths, batch.unit_lengths, reduction="sum"
    )
    (whole,) = torch.autograd.grad(loss, read)
    torch.testing.assert_close(sum(parts), whole[0], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("directions", [1, 2])
def test_where_every_step_forgets_nothing_from_before_reaches_the_output(
    directions: Literal[1, 2],
) -> None:
    model = encoder(Variant("rnn", directions), NETWORK, seed=1)
    with torch.no_grad():
        for module in model.recurrent.layers[0].directions.values():
            module.weight_hh_l0.zero_()
    found = probe(model, clips(70, 2), distance=20)
    assert all((curve[1:] < -200).all() for curve in found.gradients.values())
    assert (found.moved[4:] < 1e-9).all()  # the convolutions see three frames on


def test_the_memory_of_an_lstm_decays_as_its_forget_gate_says() -> None:
    model = encoder(Variant("lstm", 1), NETWORK, seed=1)
    layer, hidden = model.recurrent.layers[0], model.config.hidden
    with torch.no_grad():  # gates that stand still: 0.75 of the memory is kept, whatever comes
        layer.ahead.weight_ih_l0[hidden : 2 * hidden] = 0.0
        layer.ahead.weight_hh_l0.zero_()
        layer.ahead.bias_ih_l0[hidden : 2 * hidden] = float(np.log(3.0))
        layer.ahead.bias_hh_l0.zero_()
    found = probe(model, clips(70, 2), distance=20)
    # From k = 0, where the output gate stands between, to k = 1; then by the forget gate alone.
    np.testing.assert_allclose(np.diff(found.gradients["memory"][1:]), np.log10(0.75), atol=2e-2)
    np.testing.assert_allclose(found.half_lives, 0.04 * np.log(0.5) / np.log(0.75), rtol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("directions", [1, 2])
def test_encoders_have_the_same_size(cell: Cell, directions: Literal[1, 2]) -> None:
    made = encoder(Variant(cell, directions), Network(), seed=1)
    assert size(made) == pytest.approx(60_000, rel=0.03)
    again = encoder(Variant(cell, directions), Network(), seed=1)
    assert torch.equal(made.head.weight, again.head.weight)


def test_the_nearest_size_is_found() -> None:
    found = fitted(100, lambda hidden: torch.nn.Linear(3, hidden, bias=False))
    assert found.out_features == 33


def test_the_loss_of_an_encoder_is_that_of_each_clip_alone() -> None:
    model = encoder(Variant("gru", 2), NETWORK, seed=1)
    both = Clips([clips(30).features[0], clips(50).features[0]], clips(30, 2).utterances)
    together, _ = ctc_of(model, both.batch([0, 1]))
    alone = torch.stack([ctc_of(model, both.batch([index]))[0][0] for index in (0, 1)])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-4)
