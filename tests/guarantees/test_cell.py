"""Guarantee 8: the recurrent layers equal the textbook equations, step by step, with lengths."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.model.gates import opened
from asr.model.recurrent import Cell, RecurrentLayer
from asr.training import lstm_gradient

Vector = NDArray[np.float64]


def sigmoid(x: Vector) -> Vector:
    return 1.0 / (1.0 + np.exp(-x))


def lstm_step(x: Vector, state: tuple[Vector, ...], w: Vector, u: Vector, b: Vector, c: Vector):  # type: ignore[no-untyped-def]
    h, cell = state
    i, f, g, o = np.split(w @ x + b + u @ h + c, 4)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def gru_step(x: Vector, state: tuple[Vector, ...], w: Vector, u: Vector, b: Vector, c: Vector):  # type: ignore[no-untyped-def]
    (h, *_) = state
    wr, wz, wn = np.split(w @ x + b, 3)
    ur, uz, un = np.split(u @ h + c, 3)
    reset, update = sigmoid(wr + ur), sigmoid(wz + uz)
    candidate = np.tanh(wn + reset * un)
    return ((1.0 - update) * candidate + update * h,)


def rnn_step(x: Vector, state: tuple[Vector, ...], w: Vector, u: Vector, b: Vector, c: Vector):  # type: ignore[no-untyped-def]
    (h, *_) = state
    return (np.tanh(w @ x + b + u @ h + c),)


STEPS = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}


def by_the_book(cell: Cell, module: torch.nn.RNNBase, frames: Vector) -> Vector:
    """`(T, D)` -> `(T, H)`, one frame after the other, starting from zeros."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = [getattr(module, name).detach().numpy() for name in names]
    state = (np.zeros(module.hidden_size),) * (2 if cell == "lstm" else 1)
    outputs = []
    for frame in frames:
        state = STEPS[cell](frame, state, *weights)
        outputs.append(state[0])
    return np.stack(outputs)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    directions=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_every_direction_equals_the_equations(
    cell: Cell, lengths: list[int], directions: int, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = RecurrentLayer(5, 4, cell, directions).double()
    x = torch.randn(len(lengths), max(lengths), 5, dtype=torch.float64)  # padding is noise
    with torch.no_grad():
        y = layer(x, torch.tensor(lengths)).numpy()
    for row, length in enumerate(lengths):
        frames = x[row, :length].numpy()
        ahead = by_the_book(cell, layer.ahead, frames)
        np.testing.assert_allclose(y[row, :length, :4], ahead, atol=1e-12)
        if layer.back is not None:
            back = by_the_book(cell, layer.back, frames[::-1])[::-1]
            np.testing.assert_allclose(y[row, :length, 4:], back, atol=1e-12)
        assert not y[row, length:].any()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_gates_that_are_shown_are_those_of_the_equations(cell: Cell) -> None:
    torch.manual_seed(3)
    module = RecurrentLayer(width=5, hidden=4, cell=cell).double().ahead
    x = torch.randn(40, 5, dtype=torch.float64)
    with torch.no_grad():
        shown = {name: curve.numpy() for name, curve in opened(module, x).items()}
    w, u, b, c = (p.detach().numpy() for p in module.all_weights[0])
    np.testing.assert_allclose(shown["hidden"], by_the_book(cell, module, x.numpy()), atol=1e-12)
    before = np.vstack([np.zeros(4), shown["hidden"][:-1]])  # (T, H)
    fed, returned = x.numpy() @ w.T + b, before @ u.T + c
    if cell == "lstm":
        i, f, g, o = np.split(fed + returned, 4, axis=1)
        values = {"input": sigmoid(i), "forget": sigmoid(f), "candidate": np.tanh(g)}
        kept = np.vstack([np.zeros(4), shown["cell"][:-1]])
        values |= {
            "output": sigmoid(o),
            "cell": sigmoid(f) * kept + sigmoid(i) * np.tanh(g),
        }
    elif cell == "gru":
        (wr, wz, wn), (ur, uz, un) = np.split(fed, 3, axis=1), np.split(returned, 3, axis=1)
        values = {"reset": sigmoid(wr + ur), "update": sigmoid(wz + uz)}
        values["candidate"] = np.tanh(wn + values["reset"] * un)
    else:
        values = {}
    assert set(shown) == {*values, "hidden"}
    for name, value in values.items():
        np.testing.assert_allclose(shown[name], value, atol=1e-12)


@pytest.mark.parametrize("bias", [1.0, 0.0, 2.0])
def test_a_fresh_lstm_starts_with_its_forget_gate_as_open_as_asked(bias: float) -> None:
    layer = RecurrentLayer(5, 4, "lstm", forget_bias=bias)
    for direction in layer.directions.values():
        forget = direction.bias_ih_l0[4:8] + direction.bias_hh_l0[4:8]
        assert forget.tolist() == [bias] * 4
    assert RecurrentLayer(5, 4, "lstm").ahead.bias_ih_l0[4:8].tolist() == [0.5] * 4


def gradients(
    out: torch.Tensor, x: torch.Tensor, module: torch.nn.LSTM, d_out: torch.Tensor
) -> list[torch.Tensor]:
    return list(torch.autograd.grad(out, [x, *module.parameters()], d_out.to(out.dtype)))


@given(
    batch=st.integers(1, 4),
    steps=st.integers(1, 9),
    width=st.integers(1, 6),
    seed=st.integers(0, 99),
)
@settings(max_examples=50, deadline=None)
def test_the_gradient_of_training_is_that_of_autograd(
    batch: int, steps: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    module = torch.nn.LSTM(width, 4, batch_first=True).double()
    x = torch.randn(batch, steps, width, dtype=torch.float64, requires_grad=True)
    ours, theirs = lstm_gradient.lstm(module, x), module(x)[0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    d_out = torch.randn_like(theirs)
    kept = d_out.clone()
    mine_all = gradients(ours, x, module, d_out)
    assert torch.equal(d_out, kept)  # the caller's, not ours to add up in
    for mine, other in zip(mine_all, gradients(theirs, x, module, d_out), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_the_gradient_of_training_in_bfloat16_is_as_near_the_truth_as_torch() -> None:
    torch.manual_seed(3)
    module = torch.nn.LSTM(32, 64, batch_first=True)
    x = torch.randn(3, 200, 32, requires_grad=True)
    d_out = torch.randn(3, 200, 64)
    truth = gradients(module(x)[0], x, module, d_out)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = lstm_gradient.lstm(module, x), module(x)[0]
    assert ours.dtype == torch.bfloat16
    by_us, by_them = (gradients(out, x, module, d_out) for out in (ours, theirs))
    for mine, other, right in zip(by_us, by_them, truth, strict=True):
        assert mine.dtype == right.dtype
        assert (mine - right).norm() <= 1.2 * (other - right).norm() + 1e-6


@pytest.mark.parametrize(
    ("precision", "batch", "ours"),
    [(torch.bfloat16, 2, True), (torch.bfloat16, 40, False), (None, 2, False)],
)
def test_training_takes_its_own_gradient_where_that_is_faster(
    precision: torch.dtype | None, batch: int, ours: bool
) -> None:
    layer = RecurrentLayer(width=5, hidden=4, cell="lstm")
    lstm_gradient.install(layer)
    x, lengths = torch.randn(batch, 6, 5), torch.full((batch,), 6)
    with torch.autocast("cpu", precision, enabled=precision is not None):
        out = layer(x, lengths)
    names, waiting = set(), [out.grad_fn]
    while waiting:
        if (node := waiting.pop()) is not None:
            names.add(node.name())
            waiting += [after for after, _ in node.next_functions]
    assert ("_ThroughTimeBackward" in names) == ours
    with torch.no_grad():
        assert layer(x, lengths).grad_fn is None
