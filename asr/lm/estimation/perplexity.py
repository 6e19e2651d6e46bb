"""How well a model predicts a text.

Shapes: N sentences at a time, L tokens of the longest.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from asr.lm.ngram import NGram

_SENTENCES = 4_096


@dataclass(frozen=True)
class Fit:
    """Sums over a text; every sentence has an end token besides its tokens."""

    sentences: int
    tokens: int
    unknown: int
    """Tokens that the model does not know."""
    log_probability: float
    """Natural logarithm, over all tokens and ends."""
    of_unknown: float
    """The part of it that is due to unknown tokens."""

    @property
    def perplexity(self) -> float:
        """Per token and end; unknown tokens count with the probability of `<unk>`."""
        return math.exp(-self.log_probability / (self.tokens + self.sentences))

    @property
    def perplexity_of_known(self) -> float:
        """As `perplexity`, without unknown tokens."""
        known = self.tokens - self.unknown + self.sentences
        return math.exp(-(self.log_probability - self.of_unknown) / known)


def fit(model: NGram, sentences: Iterable[Sequence[int]]) -> Fit:
    """How well the model predicts sentences given in its ids."""
    number, tokens, unknown = 0, 0, 0
    total, of_unknown = 0.0, 0.0
    for words, score in scored(model, sentences):
        strange = words == 0
        number += int((words == model.eos).sum())
        tokens, unknown = tokens + len(words), unknown + int(strange.sum())
        total += float(score.sum(dtype=np.float64))
        of_unknown += float(score[strange].sum(dtype=np.float64))
    return Fit(number, tokens - number, unknown, total, of_unknown)


def scored(
    model: NGram, sentences: Iterable[Sequence[int]]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """`(T,)` ids and log-probabilities of some tokens at a time, ends of sentences included.

    Their order depends on the lengths of the sentences alone.
    """
    for block in _blocks(sentences):
        words = _padded(block, model.eos)
        states = np.full(len(block), model.start)
        for column in words.T:
            active = np.flatnonzero(column >= 0)
            score, states[active] = model.score(states[active], column[active])
            yield column[active], score


def _blocks(sentences: Iterable[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    rest = iter(sentences)
    while block := list(islice(rest, _SENTENCES)):
        yield block


def _padded(sentences: Sequence[Sequence[int]], eos: int) -> NDArray[np.int64]:
    """`(N, L)` ids with end tokens, padded with -1."""
    rows = np.full((len(sentences), 1 + max(map(len, sentences))), -1)
    for row, sentence in zip(rows, sentences, strict=True):
        row[: len(sentence) + 1] = [*sentence, eos]
    return rows
