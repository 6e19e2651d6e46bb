"""Pruning by relative entropy (Stolcke, 1998): n-grams go whose loss changes the model least.

The share of a context in the text is counted where the text is known, instead of being computed
from the shorter n-grams, whose Kneser-Ney probabilities are no probabilities of contexts (Chelba et
al., Interspeech 2010). Back-offs are computed anew from what is left, so each context sums to 1.

Shapes: E entries, I states.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr.decoding.estimation.spool import blocks
from asr.decoding.estimation.texts import Progress
from asr.decoding.ngram import NO_KEY, NGram

_BLOCK = 1 << 20
_LEAST = 1e-9  # of the mass that a context gives to shorter ones


def losses(model: NGram, history: NDArray[np.float64], progress: Progress) -> NDArray[np.float32]:
    """`(E,)` nats a word by which the model is off without each entry; infinite for words.

    An entry costs at least what those cost that follow it, as they cannot stay without it.

    Args:
        history: `(I,)` share of the words that follow each state.
    """
    own, lower = _masses(model)
    result = np.full(len(model.scores), np.inf, np.float32)
    size = len(model.vocabulary)
    for part in blocks(len(result) - size, _BLOCK):
        rows = slice(part.start + size, part.stop + size)
        context, word = model.context_and_word(torch.arange(rows.start, rows.stop))
        low = model.score(model.shorter[context], word)[0].double().numpy()
        score = model.scores[rows].double().numpy()
        before = context.numpy()
        mass, rest = own[before], lower[before]
        p = np.exp(score)
        after = np.log(mass + p) - np.log(rest + np.exp(low))
        change = p * (low + after - score) + mass * (after - np.log(mass) + np.log(rest))
        result[rows] = -history[before] * change
        progress(rows.stop, len(result))
    _at_least_what_follows(result, model)
    return result


def _at_least_what_follows(loss: NDArray[np.float32], model: NGram) -> None:
    stop = len(loss)
    for length in range(model.order, 2, -1):
        start = stop - model.sizes[length - 1]
        if start < stop:
            entry = model.keys[start:stop].numpy() // len(model.vocabulary) - 1
            first = np.flatnonzero(np.diff(entry, prepend=-1))
            worst = np.maximum.reduceat(loss[start:stop], first)
            loss[entry[first]] = np.maximum(loss[entry[first]], worst)
        stop = start


def largest(model: NGram, loss: NDArray[np.float32], count: int) -> NGram:
    """The model with the `count` entries (and all words) that cost most to lose."""
    spare = len(loss) - max(count, len(model.vocabulary))
    if spare <= 0:
        return model
    least = np.partition(loss, spare)[spare]
    kept = loss > least
    # Of equal ones the first stay, so contexts before what follows them.
    equal = np.flatnonzero(loss == least)
    kept[equal[: len(loss) - spare - np.count_nonzero(kept)]] = True
    return _kept(model, kept)


def _kept(model: NGram, kept: NDArray[np.bool_]) -> NGram:
    """The model of these entries, whose contexts are among them."""
    size = len(model.vocabulary)
    state = np.zeros(len(kept) + 1, np.int64)
    state[1:][kept] = 1 + np.arange(kept.sum())
    context, word = np.divmod(model.keys[:-1].numpy()[kept], size)
    ends = np.cumsum([0, *model.sizes])
    sizes = [int(kept[a:b].sum()) for a, b in pairwise(ends)]
    entries = (
        torch.from_numpy(np.append(state[context] * size + word, NO_KEY)),
        model.scores[torch.from_numpy(kept)],
        torch.zeros(1 + sum(sizes[:-1])),
    )
    return normalised(NGram.build(model.kind, model.vocabulary, sizes, entries))


def normalised(model: NGram) -> NGram:
    """The model with back-offs that make each context sum to 1."""
    result = replace(model, backoffs=torch.zeros_like(model.backoffs))
    for states, own, lower in _by_length(result):
        result.backoffs[states] = (own.log() - lower.log()).float()
    return result


def _masses(model: NGram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(I,)` what each state leaves to shorter ones, and what those give to the same words."""
    own = np.ones(len(model.backoffs))
    lower = np.ones(len(model.backoffs))
    for states, mass, rest in _by_length(model):
        own[states], lower[states] = mass, rest
    return own, lower


def _by_length(model: NGram) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """For each length from 2 on: states that entries follow, and their `_masses`."""
    first = len(model.vocabulary)
    for size in model.sizes[1:]:
        own = torch.ones(len(model.backoffs), dtype=torch.float64)
        lower = torch.ones(len(model.backoffs), dtype=torch.float64)
        follows = torch.zeros(len(own), dtype=torch.bool)
        for part in blocks(size, _BLOCK):
            entries = torch.arange(first + part.start, first + part.stop)
            context, word = model.context_and_word(entries)
            low, _ = model.score(model.shorter[context], word)
            own.index_add_(0, context, -model.scores[entries].double().exp())
            lower.index_add_(0, context, -low.double().exp())
            follows[context] = True
        states = follows.nonzero()[:, 0]
        yield states, own[states].clamp(min=_LEAST), lower[states].clamp(min=_LEAST)
        first += size


def chained(model: NGram) -> NDArray[np.float64]:
    """`(I,)` share of the words that follow each state, by the model itself.

    For a model whose text is not at hand.
    """
    scores = model.scores.double()
    share = scores[: len(model.backoffs) - 1].clone()
    share[model.bos] = share[model.eos]  # sentences begin as often as they end
    first = len(model.vocabulary)
    for size in model.sizes[1:-1]:
        context, _ = model.context_and_word(torch.arange(first, first + size))
        share[first : first + size] += share[context - 1]
        first += size
    return np.append(1.0, share.exp().numpy())
