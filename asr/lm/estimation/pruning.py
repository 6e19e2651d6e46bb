"""Pruning by relative entropy (Stolcke, 1998): removes the n-grams that change the model least.

The share of a context is counted in the text, if the text is known. It is not computed from the
shorter n-grams, since their Kneser-Ney probabilities are not those of contexts (Chelba et al.,
Interspeech 2010). Back-offs are computed anew afterwards, so that each context sums to 1.

Shapes: E entries, I states.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr.lm.estimation.temporary import blocks
from asr.lm.estimation.texts import Progress
from asr.lm.ngram import NO_KEY, NGram

_BLOCK = 1 << 20
_LEAST = 1e-9  # of the mass that a context leaves to shorter ones


def losses(model: NGram, history: NDArray[np.float64], progress: Progress) -> NDArray[np.float32]:
    """`(E,)` nats per word that removing each entry costs; infinite for single words.

    An entry costs at least as much as the entries that follow it, which need it.

    Args:
        history: `(I,)` share of the words that follow each state.
    """
    own, lower = _masses(model)
    result = np.full(len(model.scores), np.inf, np.float32)
    size = len(model.vocabulary)
    for part in blocks(len(result) - size, _BLOCK):
        rows = slice(part.start + size, part.stop + size)
        before, word = model.context_and_word(np.arange(rows.start, rows.stop))
        low = model.score(model.shorter[before], word)[0].astype(np.float64)
        score = model.scores[rows].astype(np.float64)
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
            entry = model.keys[start:stop] // len(model.vocabulary) - 1
            first = np.flatnonzero(np.diff(entry, prepend=-1))
            worst = np.maximum.reduceat(loss[start:stop], first)
            loss[entry[first]] = np.maximum(loss[entry[first]], worst)
        stop = start


def largest(model: NGram, loss: NDArray[np.float32], count: int) -> NGram:
    """The model with the `count` entries that cost most to remove, and all single words.

    Args:
        loss: `(E,)` of `losses`.
    """
    spare = len(loss) - max(count, len(model.vocabulary))
    if spare <= 0:
        return model
    least = np.partition(loss, spare)[spare]
    kept = loss > least
    # Of equal ones the first stay: contexts come before what follows them.
    equal = np.flatnonzero(loss == least)
    kept[equal[: len(loss) - spare - np.count_nonzero(kept)]] = True
    return _kept(model, kept)


def _kept(model: NGram, kept: NDArray[np.bool_]) -> NGram:
    """The model of the kept entries, which include their contexts."""
    size = len(model.vocabulary)
    state = np.zeros(len(kept) + 1, np.int64)
    state[1:][kept] = 1 + np.arange(kept.sum())
    context, word = np.divmod(model.keys[:-1][kept], size)
    ends = np.cumsum([0, *model.sizes])
    sizes = [int(kept[a:b].sum()) for a, b in pairwise(ends)]
    entries = (
        np.append(state[context] * size + word, NO_KEY),
        model.scores[kept],
        np.zeros(1 + sum(sizes[:-1]), np.float32),
    )
    return normalised(NGram.build(model.kind, model.vocabulary, sizes, entries))


def normalised(model: NGram) -> NGram:
    """The model with back-offs that make each context sum to 1."""
    result = replace(model, backoffs=np.zeros_like(model.backoffs))
    for states, own, lower in _by_length(result):
        result.backoffs[states] = np.log(own) - np.log(lower)
    return result


def _masses(model: NGram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(I,)` the mass that each state leaves to shorter ones, and theirs for the same words."""
    own = np.ones(len(model.backoffs))
    lower = np.ones(len(model.backoffs))
    for states, mass, rest in _by_length(model):
        own[states], lower[states] = mass, rest
    return own, lower


def _by_length(
    model: NGram,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
    """For each length from 2 on: states that entries follow, and their `_masses`."""
    first = len(model.vocabulary)
    for size in model.sizes[1:]:
        own = np.ones(len(model.backoffs))
        lower = np.ones(len(model.backoffs))
        follows = np.zeros(len(own), np.bool_)
        for part in blocks(size, _BLOCK):
            entries = np.arange(first + part.start, first + part.stop)
            context, word = model.context_and_word(entries)
            low, _ = model.score(model.shorter[context], word)
            _subtract(own, context, np.exp(model.scores[entries].astype(np.float64)))
            _subtract(lower, context, np.exp(low.astype(np.float64)))
            follows[context] = True
        states = np.flatnonzero(follows)
        yield states, np.maximum(own[states], _LEAST), np.maximum(lower[states], _LEAST)
        first += size


def _subtract(
    masses: NDArray[np.float64], index: NDArray[np.int64], values: NDArray[np.float64]
) -> None:
    """Subtracts `values` from `masses` at an ascending index."""
    masses[index[0] : index[-1] + 1] -= np.bincount(index - index[0], weights=values)


def chained(model: NGram) -> NDArray[np.float64]:
    """`(I,)` share of the words that follow each state, computed from the model.

    For a model whose text is not available.
    """
    share = model.scores[: len(model.backoffs) - 1].astype(np.float64)
    share[model.bos] = share[model.eos]  # sentences begin as often as they end
    first = len(model.vocabulary)
    for size in model.sizes[1:-1]:
        context, _ = model.context_and_word(np.arange(first, first + size))
        share[first : first + size] += share[context - 1]
        first += size
    return np.append(1.0, np.exp(share))
