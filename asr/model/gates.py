"""The gates of an LSTM, step by step.

The fused modules do not return their gates. Here the same equations (see `BidirectionalLayer`) run
frame by frame over one recording, and every gate is recorded.

Shapes: T frames, D input width, H hidden units.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from asr.errors import BadOption
from asr.model.acoustic import AcousticModel


@dataclass(frozen=True)
class Gates:
    """The gates of one direction of one layer over a recording, each `(T, H)`, in order of time."""

    layer: int
    """Counted from 1, starting at the input."""
    direction: str
    """`ahead`, or `back`, which reads from the end."""
    input: Tensor
    forget: Tensor
    output: Tensor
    cell: Tensor
    hidden: Tensor

    def half_life(self, frame_seconds: float) -> Tensor:
        """`(H,)` seconds in which a cell's content falls to one half.

        The content is multiplied by the forget gate at each step, so the mean logarithm of the gate
        is the rate of decay.
        """
        decay = -self.forget.clamp_min(1e-12).log().mean(0)  # (H,) nats a frame
        return math.log(2.0) * frame_seconds / decay.clamp_min(1e-12)


@torch.no_grad()
def gates(model: AcousticModel, samples: Any) -> Iterator[Gates]:
    """The gates of every layer and direction for `(S,)` samples, an array or a tensor.

    Raises:
        BadOption: the model's cells have no such gates, or the recording is shorter than a frame.
    """
    if model.config.cell != "lstm":
        raise BadOption(f"the model's cells are {model.config.cell}: only lstm has these gates.")
    wave = torch.as_tensor(samples)[None]  # (1, S)
    features, lengths = model.features(wave, torch.tensor([wave.shape[1]]))
    x, lengths = model.subsampling(features, lengths)  # (1, T, D)
    if not int(lengths):
        raise BadOption("the recording is too short for a single frame of the model.")
    stack = model.recurrent
    for number, (layer, norm) in enumerate(zip(stack.layers, stack.norms, strict=True), start=1):
        ahead = _opened(cast(nn.LSTM, layer.ahead), x[0], number, "ahead")
        back = _opened(cast(nn.LSTM, layer.back), x[0].flip(0), number, "back")
        yield ahead
        yield Gates(number, "back", *(getattr(back, name).flip(0) for name in _KEPT))
        x = stack.passed_on(number, norm(layer(x, lengths)))


_KEPT = ("input", "forget", "output", "cell", "hidden")


def _opened(lstm: nn.LSTM, x: Tensor, number: int, direction: str) -> Gates:
    """`(T, D)` through one direction, frame by frame."""
    weights: list[Tensor] = lstm.all_weights[0]  # type: ignore[assignment]
    into, again, bias_in, bias_again = weights
    fed = x @ into.T + bias_in + bias_again  # (T, 4 H)
    hidden = cell = torch.zeros(lstm.hidden_size)
    kept: list[tuple[Tensor, ...]] = []
    for frame in fed:
        i, f, g, o = (frame + again @ hidden).chunk(4)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        cell = f * cell + i * g
        hidden = o * cell.tanh()
        kept.append((i, f, o, cell, hidden))
    return Gates(number, direction, *(torch.stack(column) for column in zip(*kept, strict=True)))
