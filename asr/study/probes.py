"""How far back an encoder's output depends on what it read: by gradients, masks and gates.

Shapes: T feature frames, F mels, U output frames, V units, D width of a layer, H hidden units, K
distances.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr.model import AcousticModel
from asr.model.acoustic import spell
from asr.model.gates import LayerTrace, memory_of, stepped
from asr.study.speech import FRAME_SECONDS, Batch, Clips
from asr.training.objective import reachable_ctc

FloatArray: TypeAlias = NDArray[np.float64]
Steps: TypeAlias = Mapping[str, Sequence[Tensor]]
"""What a direction of a layer computes, step by step in its own order: `(H,)` each, by name."""

_PLACES = 4  # of a clip, from which to look back
_MASKED = 40  # feature frames of the stretch that is masked: 0.4 s
_TINIEST = 1e-300


@dataclass(frozen=True)
class Probe:
    """What an encoder remembers, over all clips; a curve is `(K + 1)` from distance 0 to K."""

    gradients: Mapping[str, FloatArray]
    """log10 of the norm of d loss(t) / d z(t - k), relative to the same at k = 0, where z is the
    `hidden` output or the `memory` of the last layer, or the `input` of the first: means."""
    moved: FloatArray
    """Probability that moves k frames from a masked stretch of input; 0 stands at k = 0."""
    half_lives: FloatArray
    """`(H,)` seconds in which each cell's memory falls to one half; empty without a gate."""


def probe(model: AcousticModel, clips: Clips, distance: int) -> Probe:
    """What the model remembers up to `distance` frames back; computed in float64.

    The distance goes back in time for layers that read ahead, and forward for those that read back;
    for two-way layers both are in the mean.
    """
    model = model.double()
    curves: dict[str, list[FloatArray]] = defaultdict(list)
    opened: dict[str, list[Steps]] = defaultdict(list)
    moved: list[FloatArray] = []
    for index, features in enumerate(clips.features):
        flow = Flow.through(model, clips.batch([index]))
        for direction, steps in flow.last.items():
            opened[direction].append(steps)
            for name, curve in flow.gradients(direction, distance):
                curves[name].append(curve)
        moved += _moved(model, features.double(), distance)
    lives = _half_lives(model, opened)
    model.float()
    return Probe(
        {name: np.mean(rows, axis=0) for name, rows in curves.items()},
        np.mean(moved, axis=0),
        lives,
    )


@dataclass(frozen=True)
class Flow:
    """A pass over one clip whose every step has its own place in the graph of gradients.

    The loss at frame t is the cross-entropy of its units with CTC's own belief of which of them
    belong there: the part of CTC's gradient that enters at t. Over all t they add up to CTC's.
    """

    read: Tensor
    """`(U, D)`, the input of the first layer."""
    last: Mapping[str, Steps]
    """The last layer's steps by direction."""
    memory: str
    log_probs: Tensor
    """`(U, V)`."""
    entering: Tensor
    """`(U, V)`: the gradient of CTC's loss with respect to `log_probs`."""

    @classmethod
    def through(cls, model: AcousticModel, batch: Batch) -> "Flow":
        """The pass of a float64 model over a batch of one clip."""
        with torch.no_grad():
            read, lengths = model.subsampling(batch.features.double(), batch.lengths)
        x = start = read[0].requires_grad_()  # (U, D)
        last: dict[str, Steps] = {}
        for number, layer in enumerate(model.recurrent.layers, start=1):
            last = {
                direction: stepped(module, x if direction == "ahead" else x.flip(0))
                for direction, module in layer.directions.items()  # type: ignore[operator, union-attr]
            }
            outputs = [
                torch.stack(_in_time(direction, steps["hidden"]))
                for direction, steps in last.items()
            ]
            normed = model.recurrent.norms[number - 1](torch.cat(outputs, dim=-1))
            x = model.recurrent.passed_on(number, normed)
        log_probs = spell(model.head, x)
        losses, _ = reachable_ctc(log_probs[None], lengths, batch.units, batch.unit_lengths)
        (entering,) = torch.autograd.grad(losses.sum(), log_probs, retain_graph=True)
        memory, _ = memory_of(layer.ahead)  # type: ignore[arg-type]
        return cls(start, last, memory, log_probs, entering)

    def gradients(self, direction: str, distance: int) -> Iterator[tuple[str, FloatArray]]:
        """Curves of `Probe.gradients` by name, from several places of the clip."""
        steps, frames = self.last[direction], len(self.read)
        for place in np.linspace(distance, frames - 1, _PLACES).astype(int).tolist():
            at = place if direction == "ahead" else frames - 1 - place
            back = slice(place - distance, place + 1)
            kept = {"hidden": steps["hidden"][back], "memory": steps[self.memory][back]}
            every = [node for nodes in kept.values() for node in nodes]
            on_read, *on_steps = torch.autograd.grad(
                self.log_probs[at], [self.read, *every], self.entering[at], retain_graph=True
            )
            if direction == "back":
                on_read = on_read.flip(0)
            yield "input", _relative(on_read[back])
            yield "hidden", _relative(torch.stack(on_steps[: distance + 1]))
            yield "memory", _relative(torch.stack(on_steps[distance + 1 :]))


def _in_time(direction: str, steps: Sequence[Tensor]) -> list[Tensor]:
    return list(steps) if direction == "ahead" else list(steps)[::-1]


def _relative(gradients: Tensor) -> FloatArray:
    """`(K + 1, H)`, the last one at distance 0 -> log10 of their norms relative to it."""
    norms = gradients.norm(dim=1).flip(0).clamp_min(_TINIEST).log10()
    relative: FloatArray = (norms - norms[0]).numpy()
    return relative


@torch.no_grad()
def _moved(model: AcousticModel, features: Tensor, distance: int) -> Iterator[FloatArray]:
    """Curves of `Probe.moved` from several masked stretches of a clip, `(T, F)`.

    Half the sum of the differences of all probabilities: 1 where two distributions share nothing.
    A masked stretch has the mean of the training clips, 0.
    """
    frames, spare = len(features), len(features) - 4 * (distance + 1) - _MASKED
    after = np.linspace(0, max(0, spare), _PLACES).astype(int).tolist()
    starts = [("ahead", start) for start in after]
    if model.config.directions == 2:
        starts += [("back", frames - _MASKED - start) for start in after]
    masked = features.repeat(len(starts) + 1, 1, 1)
    for row, (_, start) in enumerate(starts):
        masked[row, start : start + _MASKED] = 0.0
    log_probs, _ = model.encode(masked, torch.full((len(masked),), frames))
    apart = (log_probs[:-1].exp() - log_probs[-1:].exp()).abs().sum(-1) / 2  # (P, U)
    for (direction, start), row in zip(starts, apart.double(), strict=True):
        edge = (start + _MASKED) // 4 if direction == "ahead" else -(-start // 4)
        away = row[edge:] if direction == "ahead" else row[:edge].flip(0)
        yield np.concatenate([[0.0], away[:distance].numpy()])


def _half_lives(model: AcousticModel, opened: Mapping[str, Sequence[Steps]]) -> FloatArray:
    """`(H,)` of all directions of the last layer, over all clips."""
    lives: list[FloatArray] = []
    for direction, clips in opened.items():
        (layer,) = list(model.recurrent.layers)[-1:]
        memory, keeps = memory_of(layer.ahead)  # type: ignore[arg-type]
        if keeps is None:
            return np.zeros(0)
        gate = torch.cat([torch.stack(list(steps[keeps])).detach() for steps in clips])
        trace = LayerTrace(model.config.layers, direction, {keeps: gate}, memory, keeps)
        found = trace.half_life(FRAME_SECONDS)
        assert found is not None
        lives.append(found.numpy())
    return np.concatenate(lives)
