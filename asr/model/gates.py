"""What recurrent layers compute, step by step: every gate, memory and output.

The fused modules return their outputs alone. Here the same equations (see `RecurrentLayer`) run
frame by frame over one recording, and everything in them is recorded. A gate may also be held at a
value, to see what the model reads without it.

Shapes: T frames, D input width, H hidden units, V units of all heads.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from asr.errors import BadOption
from asr.model.acoustic import AcousticModel
from asr.model.recurrent import RecurrentLayer

Step: TypeAlias = Callable[[Tensor, Tensor, Tensor, float | None], tuple[Tensor, ...]]
"""The input's part of a cell's sums, the last output's part, the memory, and the value at which the
gate that keeps memory is held -> everything that the cell computes, its output last."""


def _lstm(fed: Tensor, returned: Tensor, cell: Tensor, held: float | None) -> tuple[Tensor, ...]:
    i, f, g, o = (fed + returned).chunk(4)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    f = f if held is None else torch.full_like(f, held)
    cell = f * cell + i * g
    return i, f, g, o, cell, o * cell.tanh()


def _gru(fed: Tensor, returned: Tensor, hidden: Tensor, held: float | None) -> tuple[Tensor, ...]:
    """Cho et al. (2014), as torch computes it: the reset gate acts on the recurrent product."""
    (r, z, n), (again_r, again_z, again_n) = fed.chunk(3), returned.chunk(3)
    r, z = (r + again_r).sigmoid(), (z + again_z).sigmoid()
    z = z if held is None else torch.full_like(z, held)
    n = (n + r * again_n).tanh()
    return r, z, n, (1.0 - z) * n + z * hidden


def _rnn(fed: Tensor, returned: Tensor, _memory: Tensor, _held: float | None) -> tuple[Tensor, ...]:
    return ((fed + returned).tanh(),)


@dataclass(frozen=True)
class _Cell:
    step: Step
    names: tuple[str, ...]
    """Of what a step computes."""
    memory: str
    keeps: str | None
    """The gate that says how much of the memory is kept."""


_CELLS: Mapping[type[nn.RNNBase], _Cell] = {
    nn.LSTM: _Cell(
        _lstm, ("input", "forget", "candidate", "output", "cell", "hidden"), "cell", "forget"
    ),
    nn.GRU: _Cell(_gru, ("reset", "update", "candidate", "hidden"), "hidden", "update"),
    nn.RNN: _Cell(_rnn, ("hidden",), "hidden", None),
}


@dataclass(frozen=True)
class LayerTrace:
    """What one direction of one layer computed over a recording, in order of time."""

    layer: int
    """Counted from 1, starting at the input."""
    direction: str
    """`ahead`, or `back`, which reads from the end."""
    curves: Mapping[str, Tensor]
    """`(T, H)` by name. LSTM: input, forget, candidate, output, cell, hidden; GRU: reset, update,
    candidate, hidden; vanilla RNN: hidden."""
    memory: str
    """The curve that carries memory from frame to frame."""
    keeps: str | None
    """The gate that says how much of the memory is kept; a vanilla RNN has none."""

    def half_life(self, frame_seconds: float) -> Tensor | None:
        """`(H,)` seconds in which a cell's content falls to one half; None without such a gate.

        The content is multiplied by the gate at each step, so the mean logarithm of the gate is the
        rate of decay.
        """
        if self.keeps is None:
            return None
        decay = -self.curves[self.keeps].clamp_min(1e-12).log().mean(0)  # (H,) nats a frame
        return math.log(2.0) * frame_seconds / decay.clamp_min(1e-12)


@torch.no_grad()
def trace(model: AcousticModel, samples: Any) -> Iterator[LayerTrace]:
    """What every layer and direction computes for `(S,)` samples, an array or a tensor.

    Raises:
        BadOption: the recording is shorter than a frame.
    """
    x, lengths = _subsampled(model, samples)  # (1, T, D)
    for number, layer in enumerate(_layers(model), start=1):
        for direction, curves in _opened(layer, x[0]).items():
            kind = _CELLS[type(layer.ahead)]
            yield LayerTrace(number, direction, curves, kind.memory, kind.keeps)
        state = model.recurrent.output(number, x, layer(x, lengths))
        x = model.recurrent.passed_on(number, state)


@torch.no_grad()
def held(model: AcousticModel, samples: Any, layer: int, value: float) -> Tensor:
    """`(T, V)` log-probabilities with the gate that keeps a layer's memory held at `value`.

    Args:
        layer: counted from 1; all of its directions are held.
        value: of an LSTM's forget gate or a GRU's update gate; 0 keeps nothing, 1 everything.

    Raises:
        BadOption: there is no such layer or gate, the value is not in [0, 1], or the recording is
            shorter than a frame.
    """
    layers = _layers(model)
    if not 1 <= layer <= len(layers):
        raise BadOption(f"layer {layer} is not there: give 1 to {len(layers)}.")
    if not 0.0 <= value <= 1.0:
        raise BadOption(f"a gate cannot be held at {value}: give a value from 0 to 1.")
    if _CELLS[type(layers[0].ahead)].keeps is None:
        raise BadOption("a vanilla RNN has no gate that keeps its memory: inspect an LSTM or GRU.")
    x, lengths = _subsampled(model, samples)
    states = []
    for number, one in enumerate(layers, start=1):
        if number == layer:
            outputs = [curves["hidden"] for curves in _opened(one, x[0], value).values()]
            found = torch.cat(outputs, dim=-1)[None]
        else:
            found = one(x, lengths)
        states.append(model.recurrent.output(number, x, found))
        x = model.recurrent.passed_on(number, states[-1])
    return torch.cat(model.spelled(states), dim=-1)[0]


def _subsampled(model: AcousticModel, samples: Any) -> tuple[Tensor, Tensor]:
    wave = torch.as_tensor(samples)[None]  # (1, S)
    features, lengths = model.features(wave, torch.tensor([wave.shape[1]]))
    x, lengths = model.subsampling(features, lengths)
    if not int(lengths):
        raise BadOption("the recording is too short for a single frame of the model.")
    return x, lengths


def _layers(model: AcousticModel) -> list[RecurrentLayer]:
    return list(model.recurrent.layers)  # type: ignore[arg-type]


def _opened(
    layer: RecurrentLayer, x: Tensor, value: float | None = None
) -> dict[str, dict[str, Tensor]]:
    """Each direction of a layer over `(T, D)`, in order of time."""
    found = {"ahead": opened(layer.ahead, x, value)}
    if layer.back is not None:
        back = opened(layer.back, x.flip(0), value)
        found["back"] = {name: curve.flip(0) for name, curve in back.items()}
    return found


def opened(direction: nn.RNNBase, x: Tensor, value: float | None = None) -> dict[str, Tensor]:
    """Everything that one direction computes for `(T, D)`, frame by frame: `(T, H)` by name.

    Args:
        value: at which the gate that keeps memory is held.
    """
    return {name: torch.stack(steps) for name, steps in stepped(direction, x, value).items()}


def stepped(
    direction: nn.RNNBase, x: Tensor, value: float | None = None
) -> dict[str, tuple[Tensor, ...]]:
    """As `opened`, but each step by itself, `(H,)`, where gradients can be taken."""
    kind = _CELLS[type(direction)]
    weights: list[Tensor] = direction.all_weights[0]  # type: ignore[assignment]
    into, again, bias_in, bias_again = weights
    fed = x @ into.T + bias_in  # (T, gates * H)
    memory = hidden = x.new_zeros(direction.hidden_size)
    recorded: list[tuple[Tensor, ...]] = []
    for row in fed:
        computed = kind.step(row, again @ hidden + bias_again, memory, value)
        recorded.append(computed)
        hidden, memory = computed[-1], computed[kind.names.index(kind.memory)]
    return dict(zip(kind.names, zip(*recorded, strict=True), strict=True))


def memory_of(direction: nn.RNNBase) -> tuple[str, str | None]:
    """The curve that carries a cell's memory, and the gate that says how much of it is kept."""
    kind = _CELLS[type(direction)]
    return kind.memory, kind.keeps
