"""Recurrent layers that read each utterance in one or both directions, exactly over its length.

Shapes: B batch, T frames, D input width, H hidden units of a direction, N directions, W the width
of a layer's output: N H, or that of its projection; V units of a head.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from asr.model.config import Cell, ModelConfig
from asr.model.lengths import flip_by_length, mask_padding

Run: TypeAlias = Callable[[nn.RNNBase, Tensor], Tensor]
"""Runs one direction of a layer over padded input: `(B, T, D)` -> `(B, T, H)`."""
CELLS: Mapping[Cell, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class RecurrentLayer(nn.Module):
    """One recurrent layer in one or both directions: `(B, T, D)` -> `(B, T, N H)`, padding zero.

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

    def __init__(
        self,
        width: int,
        hidden: int,
        cell: Cell,
        directions: int = 2,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__()
        module = CELLS[cell]
        self.ahead = module(width, hidden, batch_first=True)
        self.back = module(width, hidden, batch_first=True) if directions == 2 else None
        self.run: Run = run_direction
        if cell == "lstm":
            for direction in self.directions.values():
                _open_forget_gate(direction, forget_bias)

    @property
    def directions(self) -> dict[str, nn.RNNBase]:
        """`ahead`, and `back` if there is one, in the order of their outputs."""
        return {"ahead": self.ahead} | ({} if self.back is None else {"back": self.back})

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        y = self.run(self.ahead, x)
        if self.back is not None:
            back = self.run(self.back, flip_by_length(x, lengths))
            y = torch.cat([y, flip_by_length(back, lengths)], dim=-1)  # (B, T, 2 H)
        return mask_padding(y, lengths)


def run_direction(direction: nn.RNNBase, x: Tensor) -> Tensor:
    """`(B, T, D)` -> `(B, T, H)`, as torch computes it."""
    out: Tensor = direction(x)[0]
    return out


def _open_forget_gate(lstm: nn.RNNBase, bias: float) -> None:
    """Sets the bias of the forget gate: above 0, memory lasts from the first step."""
    hidden = lstm.hidden_size
    with torch.no_grad():
        for name in ("bias_ih_l0", "bias_hh_l0"):
            getattr(lstm, name)[hidden : 2 * hidden].fill_(bias / 2)  # the two biases add up


class SelfConditioning(nn.Module):
    """A head behind a middle layer, whose posteriors are added to what the next layer reads.

    `(B, T, W)` -> `(B, T, W)`. CTC takes the units of frames as independent; layers
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
    """Recurrent layers, each with LayerNorm and dropout: `(B, T, D)` -> `(B, T, W)`.

    LayerNorm (Ba et al., "Layer normalization", 2016) acts on each frame alone, so that neither
    other utterances nor padding enter it. A layer may have a projection, and add what it reads
    (`ModelConfig.residual`).

    Args:
        n_units: units of the head of `SelfConditioning`, if the config has it.
        inputs: D; as wide as the output unless told.
    """

    def __init__(self, config: ModelConfig, n_units: int, inputs: int | None = None) -> None:
        super().__init__()
        width = config.width
        widths = [width if inputs is None else inputs] + [width] * (config.layers - 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(read, config.hidden, config.cell, config.directions, config.forget_bias)
            for read in widths
        )
        outputs = config.directions * config.hidden
        self.projections = nn.ModuleList(
            nn.Linear(outputs, width) for _ in range(config.layers if config.projection else 0)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.residual, self.norm = config.residual, config.norm
        self.dropout = nn.Dropout(config.dropout)
        self.conditioned = config.self_conditioning
        self.conditioning = SelfConditioning(width, n_units) if self.conditioned else None

    def states(self, x: Tensor, lengths: Tensor) -> Iterator[Tensor]:
        """The output of each layer in order, `(B, T, W)`; padding has no meaning."""
        for number, layer in enumerate(self.layers, start=1):
            x = self.output(number, x, layer(x, lengths))
            yield x
            x = self.passed_on(number, x)

    def output(self, number: int, read: Tensor, found: Tensor) -> Tensor:
        """The output `(B, T, W)` of layer `number`, whose cells found `(B, T, N H)` in what they
        read: projected, normalised and added to what was read, as far as the config has it."""
        if len(self.projections):
            found = self.projections[number - 1](found)
        norm = self.norms[number - 1]
        if not self.adds(number):
            return self.dropout(norm(found))  # type: ignore[no-any-return]
        if self.norm == "behind":
            return self.dropout(norm(read + found))  # type: ignore[no-any-return]
        return read + self.dropout(norm(found))  # type: ignore[no-any-return]

    def adds(self, number: int) -> bool:
        """Whether layer `number` adds what it reads to its output."""
        return self.residual and number > 1

    def passed_on(self, number: int, x: Tensor) -> Tensor:
        """What the next layer reads of the output of layer `number`: `(B, T, W)`."""
        conditioning = self.conditioning if number == self.conditioned else None
        return x if conditioning is None else conditioning(x)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        (last,) = deque(self.states(x, lengths), maxlen=1)  # the others are freed
        return mask_padding(last, lengths), lengths
