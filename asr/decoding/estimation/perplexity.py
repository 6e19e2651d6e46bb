"""How well a model foretells a text.

Shapes: N sentences at a time, L tokens of the longest.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from asr.decoding.ngram import NGram

_SENTENCES = 4_096


@dataclass(frozen=True)
class Fit:
    """Sums over a text; every sentence has an end besides its tokens."""

    sentences: int
    tokens: int
    unknown: int
    """Tokens that the model does not know."""
    log_probability: float
    """Natural log, of all tokens and ends."""
    of_unknown: float
    """The share of unknown tokens in it."""

    @property
    def perplexity(self) -> float:
        """Of tokens and ends, each unknown token at the price of `<unk>`."""
        return math.exp(-self.log_probability / (self.tokens + self.sentences))

    @property
    def perplexity_of_known(self) -> float:
        """The same without unknown tokens."""
        known = self.tokens - self.unknown + self.sentences
        return math.exp(-(self.log_probability - self.of_unknown) / known)


def fit(model: NGram, sentences: Iterable[Sequence[int]]) -> Fit:
    """How well the model foretells sentences of its ids."""
    scores = torch.zeros(2, dtype=torch.float64)
    counts = torch.zeros(2, dtype=torch.int64)
    number = 0
    for block in _blocks(sentences):
        number += len(block)
        words = _padded(block, model.eos)
        states = torch.full((len(block),), model.start)
        for column in words.T:
            (active,) = (column >= 0).nonzero(as_tuple=True)
            score, states[active] = model.score(states[active], column[active])
            unknown = column[active] == 0
            scores += torch.stack([score.sum(dtype=torch.float64), score[unknown].sum()])
            counts += torch.stack([torch.tensor(len(active)), unknown.sum()])
    (total, of_unknown), (tokens, unknowns) = scores.tolist(), counts.tolist()
    return Fit(number, tokens - number, unknowns, total, of_unknown)


def _blocks(sentences: Iterable[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    rest = iter(sentences)
    while block := list(islice(rest, _SENTENCES)):
        yield block


def _padded(sentences: Sequence[Sequence[int]], eos: int) -> Tensor:
    """`(N, L)` ids with their ends, -1 behind."""
    rows = [torch.tensor([*sentence, eos]) for sentence in sentences]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
