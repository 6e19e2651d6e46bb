"""Modified Kneser-Ney smoothing, interpolated (Chen and Goodman, 1998, sections 3 and 4.1.6).

P(w | h) = (a(h w) - D(a(h w))) / a(h .) + g(h) P(w | h'), where h' is h without its first word.
The longest n-grams count how often they occur; a shorter one counts how many different words come
before it, or how often it occurs if it begins a sentence. D has three values for each length,
estimated from how many n-grams have counts of 1 to 4; g(h) gives what was taken away to h'.

Shapes: E n-grams of one length, C contexts: the n-grams one shorter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asr.decoding.estimation.counts import BLOCK, Level
from asr.decoding.estimation.spool import Spool, blocks
from asr.decoding.ngram import NEVER, NO_KEY, Kind, NGram

_LEAST = 1e-30  # probability, against rounding down to 0
FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])
"""Discounts where a text is too small to estimate them, as KenLM has them."""


@dataclass(frozen=True)
class Estimate:
    """A model and how often its contexts occur."""

    model: NGram
    history: NDArray[np.float64]
    """`(I,)` share of the text's words that follow each state, however little it matters there."""


@dataclass(frozen=True)
class _Probabilities:
    """Of the n-grams of one length."""

    values: NDArray[np.float32]
    """`(E,)` P(w | h), interpolated."""
    kept: NDArray[np.bool_]
    """`(E,)` those that stay in the model."""
    given: NDArray[np.float32]
    """`(C,)` g(h)."""


def discounts(adjusted: NDArray[np.int64]) -> NDArray[np.float64]:
    """`(4,)` what is taken off counts of 0, 1, 2, and 3 or more (equation 26 there)."""
    n = np.bincount(np.minimum(adjusted, 5), minlength=6)[:5].astype(np.float64)
    if not n[1:].all():
        return FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    j = np.arange(1, 4)
    found = j - (j + 1) * y * n[2:5] / n[1:4]
    return FALLBACK if (found < 0).any() or (found > j).any() else np.append(0.0, found)


def estimate(
    kind: Kind,
    vocabulary: Sequence[str],
    levels: Sequence[Level],
    cutoffs: Sequence[int],
    spool: Spool,
) -> Estimate:
    """The model of a text's counts.

    Args:
        vocabulary: as NGram has it.
        levels: n-grams of length 1, 2, ...
        cutoffs: for each length, n-grams that occur no oftener are left out (never words); their
            share goes to the shorter context. They must not fall with length.
    """
    suffixes = _suffixes(levels, len(vocabulary), spool)
    adjusted = _adjusted(levels, suffixes, len(vocabulary), spool)
    found = [_words(adjusted[0])]
    for level, counts, suffix, cutoff in zip(
        levels[1:], adjusted[1:], suffixes, cutoffs[1:], strict=True
    ):
        found.append(
            _interpolated(level, counts, suffix, cutoff, found[-1], len(vocabulary), spool)
        )
    return _assembled(kind, vocabulary, levels, found)


def _suffixes(levels: Sequence[Level], vocabulary: int, spool: Spool) -> list[NDArray[np.int32]]:
    """For each length from 2 on, which n-gram one shorter each one ends in, `(E,)`."""
    suffixes: list[NDArray[np.int32]] = []
    for shorter, level in pairwise(levels):
        suffix = spool.zeros(len(level.keys), np.int32)
        for part in blocks(len(suffix), BLOCK):
            context, word = np.divmod(level.keys[part], vocabulary)
            if suffixes:
                key = suffixes[-1][context].astype(np.int64) * vocabulary + word
                suffix[part] = np.searchsorted(shorter.keys, key)
            else:
                suffix[part] = word
        suffixes.append(suffix)
    return suffixes


def _adjusted(
    levels: Sequence[Level], suffixes: Sequence[NDArray[np.int32]], vocabulary: int, spool: Spool
) -> list[NDArray[np.int64]]:
    """What each n-gram counts for."""
    bos = vocabulary - 2
    first, last = bos, bos + 1  # n-grams that begin a sentence lie together
    adjusted = []
    for index, level in enumerate(levels):
        if index:
            first, last = np.searchsorted(level.keys, [first * vocabulary, last * vocabulary])
        if index == len(levels) - 1:
            counts = level.counts
        else:
            counts = spool.zeros(len(level.keys), np.int64)
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
    """Of single words, whose shorter context makes all but `<s>` equally likely."""
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
    spool: Spool,
) -> _Probabilities:
    taken = discounts(adjusted)
    length = len(level.keys)
    kept = spool.zeros(length, np.bool_)
    total = spool.zeros(len(shorter.values), np.float64)
    seen = spool.zeros(len(shorter.values), np.float64)
    for part in blocks(length, BLOCK):
        context = level.keys[part] // vocabulary
        kept[part] = (level.counts[part] > cutoff) & shorter.kept[context]
        counts = adjusted[part]
        _add(total, context, counts)
        _add(seen, context, np.where(kept[part], counts - taken[np.minimum(counts, 3)], 0.0))
    given = spool.zeros(len(total), np.float32)
    for part in blocks(len(total), BLOCK):
        given[part] = 1 - seen[part] / np.maximum(total[part], 1)
    values = spool.zeros(length, np.float32)
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
    found: Sequence[_Probabilities],
) -> Estimate:
    """The model of the n-grams that are kept."""
    sizes = [int(np.count_nonzero(p.kept)) for p in found]
    keys = np.full(sum(sizes) + 1, NO_KEY)
    scores = np.empty(sum(sizes), np.float32)
    leads = np.zeros(sum(sizes), np.bool_)
    backoffs = np.zeros(1 + sum(sizes[:-1]), np.float32)
    history = np.ones(len(backoffs))
    words = levels[0].counts.sum() - levels[0].counts[-2]  # nothing predicts <s>
    state: NDArray[np.signedinteger[Any]] = np.zeros(1, np.int64)
    done = 0
    for index, (level, p) in enumerate(zip(levels, found, strict=True)):
        own_state = np.zeros(len(p.kept) if index + 1 < len(found) else 0, np.int32)
        for part in blocks(len(p.kept), BLOCK):
            kept = part.start + np.flatnonzero(p.kept[part])
            rows = slice(done, done + len(kept))
            context, word = np.divmod(level.keys[kept], len(vocabulary))
            context = state[context].astype(np.int64)
            keys[rows] = context * len(vocabulary) + word
            scores[rows] = np.log(np.maximum(p.values[kept], _LEAST))
            leads[context[context > 0] - 1] = True
            done = rows.stop
            if index + 1 < len(found):
                own_state[kept] = np.arange(rows.start + 1, rows.stop + 1)
                given = found[index + 1].given[kept]
                backoffs[rows.start + 1 : rows.stop + 1] = np.log(np.maximum(given, _LEAST))
                history[rows.start + 1 : rows.stop + 1] = level.counts[kept] / words
        state = own_state
    scores[len(vocabulary) - 2] = NEVER
    entries = torch.from_numpy(keys), torch.from_numpy(scores), torch.from_numpy(backoffs)
    model = NGram.build(kind, vocabulary, sizes, entries, torch.from_numpy(leads))
    return Estimate(model, history)
