"""Recurrent layers that read each utterance in both directions, exactly over its length.

Shapes: B batch, T frames, D input width, H hidden units, V units of a head.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from asr.model.config import Cell
from asr.model.lengths import flip_by_length, mask_padding

Run: TypeAlias = Callable[[nn.RNNBase, Tensor], Tensor]
"""Runs one direction of a layer over padded input: `(B, T, D)` -> `(B, T, H)`."""
CELLS: Mapping[Cell, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class BidirectionalLayer(nn.Module):
    """One recurrent layer in both directions: `(B, T, D)` -> `(B, T, 2 H)`, padding zero.

    Each direction is one fused module over a padded batch. The backward one reads every utterance
    flipped by its own length, so it starts at the last valid frame, never in padding. Packed
    sequences would give the same result, but are 13 times slower in training on a CPU, since
    oneDNN's fused path does not support them (pytorch#149194).

    The LSTM's gates, as in Hochreiter & Schmidhuber (1997) and Gers et al. (2000), with [i f g o]
    the order of rows in `weight_ih_l0` and `weight_hh_l0`:

        i = sigmoid(W_i x + U_i h + b_i)        input gate
        f = sigmoid(W_f x + U_f h + b_f)        forget gate
        g = tanh(W_g x + U_g h + b_g)           candidate
        o = sigmoid(W_o x + U_o h + b_o)        output gate
        c' = f * c + i * g                      the cell carries memory
        h' = o * tanh(c')

    `run` computes a direction; training may replace it by a faster one
    (`asr.training.lstm_gradient`).
    """

    def __init__(self, width: int, hidden: int, cell: Cell) -> None:
        super().__init__()
        module = CELLS[cell]
        self.ahead = module(width, hidden, batch_first=True)
        self.back = module(width, hidden, batch_first=True)
        self.run: Run = run_direction
        if cell == "lstm":
            for direction in (self.ahead, self.back):
                _open_forget_gate(direction)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        ahead = self.run(self.ahead, x)
        back = self.run(self.back, flip_by_length(x, lengths))
        both = torch.cat([ahead, flip_by_length(back, lengths)], dim=-1)  # (B, T, 2 H)
        return mask_padding(both, lengths)


def run_direction(direction: nn.RNNBase, x: Tensor) -> Tensor:
    """`(B, T, D)` -> `(B, T, H)`, as torch computes it."""
    out: Tensor = direction(x)[0]
    return out


def _open_forget_gate(lstm: nn.RNNBase) -> None:
    """Sets the bias of the forget gate to 1, so that memory lasts from the first step.

    Jozefowicz et al., "An empirical exploration of recurrent network architectures" (2015).
    """
    hidden = lstm.hidden_size
    with torch.no_grad():
        for name in ("bias_ih_l0", "bias_hh_l0"):
            getattr(lstm, name)[hidden : 2 * hidden].fill_(0.5)  # the two biases add up


class SelfConditioning(nn.Module):
    """A head behind a middle layer, whose posteriors are added to what the next layer reads.

    `(B, T, 2 H)` -> `(B, T, 2 H)`. CTC takes the units of frames as independent; layers
    that know an earlier reading need not (Nozaki & Komatsu, "Relaxing the conditional independence
    assumption of CTC-based ASR by conditioning on intermediate predictions", 2021, eq. 9 and 10).
    At first nothing is added, so that a trained model may gain it.
    """

    def __init__(self, width: int, n_units: int) -> None:
        super().__init__()
        self.head = nn.Linear(width, n_units)
        self.feedback = nn.Linear(n_units, width)
        nn.init.zeros_(self.feedback.weight)
        nn.init.zeros_(self.feedback.bias)

    def forward(self, x: Tensor) -> Tensor:
        posteriors = torch.softmax(self.head(x).float(), dim=-1)  # (B, T, V)
        added: Tensor = self.feedback(posteriors)
        return x + added


class RecurrentStack(nn.Module):
    """Bidirectional layers, each with LayerNorm and dropout: `(B, T, D)` -> `(B, T, 2 H)`.

    Args:
        conditioned: the layer, counted from 1, behind which there is `SelfConditioning`; 0 for
            none.
        n_units: units of that head.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        layers: int,
        cell: Cell,
        dropout: float,
        conditioned: int = 0,
        n_units: int = 0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            BidirectionalLayer(width if index == 0 else 2 * hidden, hidden, cell)
            for index in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(2 * hidden) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.conditioned = conditioned
        self.conditioning = SelfConditioning(2 * hidden, n_units) if conditioned else None

    def states(self, x: Tensor, lengths: Tensor) -> Iterator[Tensor]:
        """The output of each layer in order, `(B, T, 2 H)`; padding has no meaning."""
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True), start=1):
            x = self.dropout(norm(layer(x, lengths)))
            yield x
            x = self.passed_on(number, x)

    def passed_on(self, number: int, x: Tensor) -> Tensor:
        """What the next layer reads of the output of layer `number`: `(B, T, 2 H)`."""
        conditioning = self.conditioning if number == self.conditioned else None
        return x if conditioning is None else conditioning(x)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        (last,) = deque(self.states(x, lengths), maxlen=1)  # the others are freed
        return mask_padding(last, lengths), lengths
