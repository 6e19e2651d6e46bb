"""The copy task: symbols, then a lag without any, then cues at which they must be said again.

The clean case of memory over long spans (Hochreiter & Schmidhuber, 1997; Arjovsky et al., 2016).
The lag grows with success: a cell is asked for more once it says nearly all symbols right.

Shapes: B batch, L length of the lag, N symbols to remember, A different symbols, H hidden units.
"""

import math

import torch
from torch import Tensor, nn

from asr.model.config import Cell
from asr.model.recurrent import RecurrentLayer
from asr.study.config import Copying, Variant
from asr.study.encoders import fitted

_BATCH = 32
_ENOUGH = 0.98  # of the symbols of a batch
_GROWTH = 1.25
_LEARNING_RATE, _CLIP = 5e-3, 1.0


class Copier(nn.Module):
    """A one-way cell and its output layer: `(B, 2 N + L, A + 2)` -> `(B, N, A)` logits."""

    def __init__(self, task: Copying, hidden: int, cell: Cell, forget_bias: float) -> None:
        super().__init__()
        self.length = task.length
        self.layer = RecurrentLayer(task.symbols + 2, hidden, cell, 1, forget_bias)
        self.head = nn.Linear(hidden, task.symbols)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x, torch.full((len(x),), x.shape[1]))
        logits: Tensor = self.head(y[:, -self.length :])
        return logits


def copied(task: Copying, variant: Variant, seed: int) -> list[int]:
    """The lag that a cell has mastered after each update."""
    torch.manual_seed(seed)
    cell = fitted(
        task.parameters,
        lambda hidden: Copier(task, hidden, variant.cell, variant.forget_bias),
    )
    optimizer = torch.optim.Adam(cell.parameters(), lr=_LEARNING_RATE)
    random = torch.Generator().manual_seed(seed)
    lag, mastered = 1, 0
    course: list[int] = []
    while len(course) < task.updates and mastered < task.longest:
        said = torch.randint(task.symbols, (_BATCH, task.length), generator=random)
        logits = cell(_written(task, said, lag))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), said.flatten())
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(cell.parameters(), _CLIP)
        optimizer.step()
        if float((logits.argmax(-1) == said).float().mean()) >= _ENOUGH:
            mastered, lag = lag, min(task.longest, math.ceil(_GROWTH * lag))
        course.append(mastered)
    return course


def _written(task: Copying, said: Tensor, lag: int) -> Tensor:
    """`(B, 2 N + L, A + 2)`: the symbols, nothing, cues; one-hot."""
    nothing, cue = task.symbols, task.symbols + 1
    silence = said.new_full((len(said), lag), nothing)
    cues = said.new_full(said.shape, cue)
    return nn.functional.one_hot(torch.cat([said, silence, cues], dim=1), task.symbols + 2).float()
