"""Law 8: the recurrent layers equal the textbook equations, step by step, with lengths."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.model.recurrent import BidirectionalLayer, Cell

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
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_both_directions_equal_the_equations(cell: Cell, lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    layer = BidirectionalLayer(width=5, hidden=4, cell=cell).double()
    x = torch.randn(len(lengths), max(lengths), 5, dtype=torch.float64)  # padding is noise
    with torch.no_grad():
        y = layer(x, torch.tensor(lengths)).numpy()
    for row, length in enumerate(lengths):
        frames = x[row, :length].numpy()
        ahead = by_the_book(cell, layer.ahead, frames)
        back = by_the_book(cell, layer.back, frames[::-1])[::-1]
        np.testing.assert_allclose(y[row, :length, :4], ahead, atol=1e-12)
        np.testing.assert_allclose(y[row, :length, 4:], back, atol=1e-12)
        assert not y[row, length:].any()


def test_a_fresh_lstm_starts_with_its_forget_gate_open() -> None:
    layer = BidirectionalLayer(width=5, hidden=4, cell="lstm")
    forget = layer.ahead.bias_ih_l0[4:8] + layer.ahead.bias_hh_l0[4:8]
    assert forget.tolist() == [1.0] * 4
