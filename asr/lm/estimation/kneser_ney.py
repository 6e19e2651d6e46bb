"""Modified Kneser-Ney smoothing, interpolated (Chen and Goodman, 1998, sections 3 and 4.1.6).

P(w | h) = (a(h w) - D(a(h w))) / a(h .) + g(h) P(w | h'), where h' is h without its first word.
The count a of the longest n-grams is how often they occur; for shorter ones it is the number of
different words before them, or how often they occur if they begin a sentence. D has three values
for each length, estimated from how many n-grams have counts of 1 to 4. g(h) is the discounted
mass, which goes to h'.

Shapes: E n-grams of one length, C contexts: the n-grams one shorter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.lm.estimation.counts import BLOCK, Level, places_of
from asr.lm.estimation.temporary import TemporaryArrays, blocks
from asr.lm.ngram import NEVER, NO_KEY, Kind, NGram

_LEAST = 1e-30  # probability: keeps it from rounding to 0
FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])
"""Discounts if a text is too small to estimate them; KenLM uses the same."""


@dataclass(frozen=True)
class Estimate:
    """A model and how often its contexts occur."""

    model: NGram
    history: NDArray[np.float64]
    """`(I,)` share of the text's words that follow each state."""


@dataclass(frozen=True)
class _Probabilities:
    """The probabilities of the n-grams of one length."""

    values: NDArray[np.float32]
    """`(E,)` P(w | h), interpolated."""
    kept: NDArray[np.bool_]
    """`(E,)` whether each n-gram stays in the model."""
    given: NDArray[np.float32]
    """`(C,)` g(h)."""


def discounts(adjusted: NDArray[np.int64]) -> NDArray[np.float64]:
    """`(4,)` the discounts of counts 0, 1, 2, and 3 or more (equation 26 there)."""
    n = np.bincount(np.minimum(adjusted, 5), minlength=6)[:5].astype(np.float64)
    if not n[1:].all():
        return FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    j = np.arange(1, 4)
    values = j - (j + 1) * y * n[2:5] / n[1:4]
    return FALLBACK if (values < 0).any() or (values > j).any() else np.append(0.0, values)


def estimate(
    kind: Kind,
    vocabulary: Sequence[str],
    levels: Sequence[Level],
    cutoffs: Sequence[int],
    arrays: TemporaryArrays,
) -> Estimate:
    """The model estimated from the counts of a text.

    Args:
        vocabulary: as in `NGram`.
        levels: n-grams of length 1, 2, ...
        cutoffs: for each length, n-grams that occur at most so often are left out (never single
            words); their share goes to the shorter context. Values must not fall with length.
    """
    suffixes = _suffixes(levels, len(vocabulary), arrays)
    adjusted = _adjusted(levels, suffixes, len(vocabulary), arrays)
    probabilities = [_words(adjusted[0])]
    for level, counts, suffix, cutoff in zip(
        levels[1:], adjusted[1:], suffixes, cutoffs[1:], strict=True
    ):
        probabilities.append(
            _interpolated(level, counts, suffix, cutoff, probabilities[-1], len(vocabulary), arrays)
        )
    return _assembled(kind, vocabulary, levels, probabilities)


def _suffixes(
    levels: Sequence[Level], vocabulary: int, arrays: TemporaryArrays
) -> list[NDArray[np.int32]]:
    """For each length from 2 on, `(E,)`: the index of each n-gram without its first word."""
    suffixes: list[NDArray[np.int32]] = []
    for shorter, level in pairwise(levels):
        suffix = arrays.zeros(len(level.keys), np.int32)
        for part in blocks(len(suffix), BLOCK):
            context, word = np.divmod(level.keys[part], vocabulary)
            if suffixes:
                key = suffixes[-1][context].astype(np.int64) * vocabulary + word
                suffix[part] = places_of(key, shorter.keys)
            else:
                suffix[part] = word
        suffixes.append(suffix)
    return suffixes


def _adjusted(
    levels: Sequence[Level],
    suffixes: Sequence[NDArray[np.int32]],
    vocabulary: int,
    arrays: TemporaryArrays,
) -> list[NDArray[np.int64]]:
    """The adjusted count of each n-gram."""
    bos = vocabulary - 2
    first, last = bos, bos + 1  # n-grams that begin a sentence are adjacent
    adjusted = []
    for index, level in enumerate(levels):
        if index:
            first, last = np.searchsorted(level.keys, [first * vocabulary, last * vocabulary])
        if index == len(levels) - 1:
            counts = level.counts
        else:
            counts = arrays.zeros(len(level.keys), np.int64)
            suffix = suffixes[index]
            for part in blocks(len(suffix), BLOCK):
                ends, number = np.unique(suffix[part], return_counts=True)
                counts[ends] += number
            counts[first:last] = level.counts[first:last]
        if not index:
            counts = counts.copy()
            counts[bos] = 0
        adjusted.append(counts)
    return adjusted


def _words(adjusted: NDArray[np.int64]) -> _Probabilities:
    """The probabilities of single words, interpolated with equal ones for all but `<s>`."""
    cut = discounts(adjusted)[np.minimum(adjusted, 3)]
    seen = (adjusted - cut) / adjusted.sum()
    given = 1 - seen.sum()
    values = seen + given / (len(seen) - 1)
    values[-2] = 0.0
    return _Probabilities(
        values.astype(np.float32), np.ones(len(values), np.bool_), np.array([given], np.float32)
    )


def _interpolated(
    level: Level,
    adjusted: NDArray[np.int64],
    suffix: NDArray[np.int32],
    cutoff: int,
    shorter: _Probabilities,
    vocabulary: int,
    arrays: TemporaryArrays,
) -> _Probabilities:
    taken = discounts(adjusted)
    length = len(level.keys)
    kept = arrays.zeros(length, np.bool_)
    total = arrays.zeros(len(shorter.values), np.float64)
    seen = arrays.zeros(len(shorter.values), np.float64)
    for part in blocks(length, BLOCK):
        context = level.keys[part] // vocabulary
        kept[part] = (level.counts[part] > cutoff) & shorter.kept[context]
        counts = adjusted[part]
        _add(total, context, counts)
        _add(seen, context, np.where(kept[part], counts - taken[np.minimum(counts, 3)], 0.0))
    given = arrays.zeros(len(total), np.float32)
    for part in blocks(len(total), BLOCK):
        given[part] = 1 - seen[part] / np.maximum(total[part], 1)
    values = arrays.zeros(length, np.float32)
    for part in blocks(length, BLOCK):
        context = level.keys[part] // vocabulary
        counts = adjusted[part]
        own = np.where(kept[part], counts - taken[np.minimum(counts, 3)], 0.0) / total[context]
        values[part] = own + given[context] * shorter.values[suffix[part]]
    return _Probabilities(values, kept, given)


def _add(sums: NDArray[np.float64], index: NDArray[np.int64], values: NDArray[Any]) -> None:
    """Adds `values` to `sums` at an ascending index."""
    sums[index[0] : index[-1] + 1] += np.bincount(index - index[0], weights=values)


def _assembled(
    kind: Kind,
    vocabulary: Sequence[str],
    levels: Sequence[Level],
    probabilities: Sequence[_Probabilities],
) -> Estimate:
    """The model of the n-grams that are kept."""
    sizes = [int(np.count_nonzero(p.kept)) for p in probabilities]
    keys = np.full(sum(sizes) + 1, NO_KEY)
    scores = np.empty(sum(sizes), np.float32)
    leads = np.zeros(sum(sizes), np.bool_)
    backoffs = np.zeros(1 + sum(sizes[:-1]), np.float32)
    history = np.ones(len(backoffs))
    words = levels[0].counts.sum() - levels[0].counts[-2]  # nothing predicts <s>
    state: NDArray[np.signedinteger[Any]] = np.zeros(1, np.int64)
    done = 0
    for index, (level, p) in enumerate(zip(levels, probabilities, strict=True)):
        own_state = np.zeros(len(p.kept) if index + 1 < len(probabilities) else 0, np.int32)
        for part in blocks(len(p.kept), BLOCK):
            kept = part.start + np.flatnonzero(p.kept[part])
            rows = slice(done, done + len(kept))
            context, word = np.divmod(level.keys[kept], len(vocabulary))
            context = state[context].astype(np.int64)
            keys[rows] = context * len(vocabulary) + word
            scores[rows] = np.log(np.maximum(p.values[kept], _LEAST))
            leads[context[context > 0] - 1] = True
            done = rows.stop
            if index + 1 < len(probabilities):
                own_state[kept] = np.arange(rows.start + 1, rows.stop + 1)
                given = probabilities[index + 1].given[kept]
                backoffs[rows.start + 1 : rows.stop + 1] = np.log(np.maximum(given, _LEAST))
                history[rows.start + 1 : rows.stop + 1] = level.counts[kept] / words
        state = own_state
    scores[len(vocabulary) - 2] = NEVER
    model = NGram.build(kind, vocabulary, sizes, (keys, scores, backoffs), leads)
    return Estimate(model, history)
