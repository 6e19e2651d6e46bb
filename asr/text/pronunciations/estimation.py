"""Modified Kneser-Ney smoothing, interpolated (Chen and Goodman, 1998), pruned by relative entropy.

Everything stays in memory, since a dictionary has about a million graphones. `asr lm build`, which
estimates models from a hundred times as many words, works on disk.

Shapes: T tokens of all rows, E entries, I states, V graphones with START and END (see `NGram`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr.text.pronunciations.ngram import NO_KEY, NGram

# Discounts for dictionaries that are too small to estimate them, as in KenLM.
_FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])
_LEAST = 1e-9  # probability mass that a context leaves to shorter ones


@dataclass(frozen=True)
class Level:
    """The n-grams of one length, E of them, sorted."""

    keys: NDArray[np.int64]
    counts: NDArray[np.int64]
    suffixes: NDArray[np.int64]
    """Index in the level below of each n-gram without its first graphone."""
    contexts: NDArray[np.int64]
    """Index in the level below of each n-gram without its last graphone."""
    first: NDArray[np.bool_]
    """Whether the n-gram starts a word."""


def estimate(
    rows: Sequence[NDArray[np.int64]], vocabulary: int, order: int
) -> tuple[NGram, NDArray[np.float64]]:
    """The model of some rows, and for each state the `(I,)` share of graphones that follow it."""
    levels = _counted(rows, vocabulary, order)
    found: list[NDArray[np.float64]] = []
    given = [np.zeros(1)]
    for length, level in enumerate(levels, start=1):
        adjusted = level.counts.copy()
        if length < len(levels):  # how many different graphones come before it
            different = np.bincount(levels[length].suffixes, minlength=len(adjusted))
            adjusted = np.where(level.first, adjusted, different)
        cut = _discounts(adjusted)[np.minimum(adjusted, 3)]
        if length == 1:
            adjusted[vocabulary - 2], cut[vocabulary - 2] = 0, 0.0  # nothing predicts START
            seen = (adjusted - cut) / adjusted.sum()
            values = seen + (1 - seen.sum()) / (vocabulary - 1)
        else:
            states = len(levels[length - 2].keys)
            total = np.bincount(level.contexts, adjusted, states)
            rest = np.bincount(level.contexts, cut, states) / np.maximum(total, 1)
            # A context that nothing follows leaves all its mass to shorter ones; none leaves zero.
            given.append(np.log(np.where(total > 0, np.maximum(rest, _LEAST), 1.0)))
            values = (adjusted - cut) / total[level.contexts]
            values += rest[level.contexts] * found[-1][level.suffixes]
        found.append(values)
    sizes = [len(level.keys) for level in levels]
    keys = np.concatenate([*(level.keys for level in levels), [NO_KEY]])
    scores = np.log(np.concatenate(found)).astype(np.float32)
    backoffs = np.concatenate(given).astype(np.float32)
    tokens = levels[0].counts.sum() - levels[0].counts[-2]
    history = np.concatenate([[1.0], *(level.counts / tokens for level in levels[:-1])])
    return NGram.build(vocabulary, sizes, keys, scores, backoffs), history


def _counted(rows: Sequence[NDArray[np.int64]], vocabulary: int, order: int) -> list[Level]:
    start, end = vocabulary - 2, vocabulary - 1
    tokens = np.concatenate([part for row in rows for part in ([start], row, [end])])
    place = np.concatenate([np.arange(len(row) + 2) for row in rows])  # within the word
    every = np.arange(vocabulary)
    counts = np.bincount(tokens, minlength=vocabulary)
    levels = [Level(every, counts, every, every, every == start)]
    entry, below = tokens, 0  # of the n-gram that ends at each token; entries of shorter ones
    for length in range(2, order + 1):
        ends = np.flatnonzero(place >= length - 1)
        if not len(ends):
            break
        key = (entry[ends - 1] + 1) * vocabulary + tokens[ends]
        keys, index, inverse, count = np.unique(
            key, return_index=True, return_inverse=True, return_counts=True
        )
        at = ends[index]
        suffixes, contexts = entry[at] - below, entry[at - 1] - below
        levels.append(Level(keys, count, suffixes, contexts, place[at] == length - 1))
        below += len(levels[-2].keys)
        entry = np.full(len(tokens), -1)
        entry[ends] = inverse + below
    return levels


def _discounts(adjusted: NDArray[np.int64]) -> NDArray[np.float64]:
    """`(4,)` discounts of counts 0, 1, 2, and 3 or more (Chen and Goodman, equation 26)."""
    n = np.bincount(np.minimum(adjusted, 5), minlength=6)[:5].astype(np.float64)
    if not n[1:].all():
        return _FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    j = np.arange(1, 4)
    found = j - (j + 1) * y * n[2:5] / n[1:4]
    return _FALLBACK if (found < 0).any() or (found > j).any() else np.append(0.0, found)


def losses(model: NGram, history: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(E,)` relative entropy, in nats per graphone, of the model without each entry.

    Infinite for entries of length 1. An entry costs at least as much as the longer ones that start
    with it, since these cannot stay without it.
    """
    size = model.vocabulary
    own, rest, low = _masses(model)
    context = model.keys[size:-1] // size
    score = model.scores[size:].astype(np.float64)
    p, mass, lower = np.exp(score), own[context], rest[context]
    after = np.log(mass + p) - np.log(lower + np.exp(low))
    change = p * (low + after - score) + mass * (after - np.log(mass) + np.log(lower))
    result = np.full(len(model.scores), np.inf)
    result[size:] = -history[context] * change
    for start, stop in reversed(list(pairwise(np.cumsum(model.sizes).tolist()))):
        np.maximum.at(result, model.keys[start:stop] // size - 1, result[start:stop])
    result[:size] = np.inf
    return result


def largest(model: NGram, loss: NDArray[np.float64], count: int) -> NGram:
    """The model with the `count` entries whose removal costs most, and all single graphones."""
    size = model.vocabulary
    if count >= len(loss):
        return model
    kept = np.zeros(len(loss), np.bool_)
    # Among equals the first stay, so that contexts stay before the entries that need them.
    kept[np.argsort(-loss, kind="stable")[: max(count, size)]] = True
    state = np.zeros(len(kept) + 1, np.int64)
    state[1:][kept] = 1 + np.arange(kept.sum())
    context, last = np.divmod(model.keys[:-1][kept], size)
    ends = np.cumsum([0, *model.sizes])
    sizes = [n for n in (int(kept[a:b].sum()) for a, b in pairwise(ends)) if n]
    keys = np.append(state[context] * size + last, NO_KEY)
    backoffs = np.zeros(1 + sum(sizes[:-1]), np.float32)
    return normalised(NGram.build(size, sizes, keys, model.scores[kept], backoffs))


def normalised(model: NGram) -> NGram:
    """The model with back-off weights that make each context sum to 1."""
    backoffs = np.zeros_like(model.backoffs)
    result = NGram.build(model.vocabulary, model.sizes, model.keys, model.scores, backoffs)
    for start, stop in pairwise(np.cumsum(model.sizes).tolist()):  # shorter contexts first
        states = np.unique(model.keys[start:stop] // model.vocabulary)
        own, rest, _ = _masses(result, start, stop)
        backoffs[states] = np.log(own[states]) - np.log(rest[states])
    return result


def _masses(
    model: NGram, start: int | None = None, stop: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The mass that each state leaves to shorter contexts, and theirs for the same graphones.

    Returns:
        `(I,)` one minus the sum of P(graphone | state) over the entries of a state; `(I,)` the same
        with P in the shorter context; and log P in the shorter context of the entries from `start`
        to `stop`, by default all that have one.
    """
    entries = slice(model.vocabulary if start is None else start, stop or len(model.scores))
    context, last = np.divmod(model.keys[entries], model.vocabulary)
    low = model.score(model.shorter[context], last)[0].astype(np.float64)
    states = len(model.backoffs)
    own = 1 - np.bincount(context, np.exp(model.scores[entries].astype(np.float64)), states)
    rest = 1 - np.bincount(context, np.exp(low), states)
    return np.maximum(own, _LEAST), np.maximum(rest, _LEAST), low
