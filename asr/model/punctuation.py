"""Plain words and the pauses behind them -> the mark behind each word, and how it is written.

Shapes: B batch, T words, P pieces of a word, S numbers of sound, C classes.
"""

import torch
from torch import Tensor, nn

from asr.model.config import ModelConfig, PunctuationConfig
from asr.model.recurrent import RecurrentStack


class PunctuationModel(nn.Module):
    """Bidirectional layers over words, each the sum of its pieces' rows in a table.

    The table is shared by all pieces, whose rows are found by a hash (Weinberger et al., "Feature
    hashing for large scale multitask learning", 2009; sums over the parts of a word: Bojanowski et
    al., "Enriching word vectors with subword information", 2017), so there is no unknown word.

    Args:
        n_sound: numbers that say how each word sounds.
        n_classes: classes of each of the questions that the head answers, side by side.
    """

    def __init__(self, config: PunctuationConfig, n_sound: int, n_classes: tuple[int, ...]) -> None:
        super().__init__()
        self.config = config
        self.n_classes = n_classes
        self.table = nn.Embedding(config.rows, config.width, padding_idx=0)
        nn.init.normal_(self.table.weight[1:], std=0.5)
        self.dropout = nn.Dropout(config.dropout)
        layers = ModelConfig(
            cell=config.cell, layers=config.layers, hidden=config.hidden, dropout=config.dropout
        )
        self.recurrent = RecurrentStack(layers, n_units=0, inputs=config.width + n_sound)
        self.head = nn.Linear(2 * config.hidden, sum(n_classes))

    def forward(self, pieces: Tensor, sound: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """The log-probabilities of each question's classes: `(B, T, C)`; padding has no meaning.

        Args:
            pieces: `(B, T, P)`, rows of the table; 0 for none.
            sound: `(B, T, S)`.
            lengths: `(B,)`, words.
        """
        words = self.dropout(self.table(pieces).sum(2))  # (B, T, width)
        states, _ = self.recurrent(torch.cat([words, sound], dim=-1), lengths)
        logits = self.head(states).float()
        return tuple(part.log_softmax(-1) for part in logits.split(self.n_classes, dim=-1))
