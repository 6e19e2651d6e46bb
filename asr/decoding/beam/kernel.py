"""The compiled prefix beam search of one utterance, frame by frame, over flat arrays.

A hypothesis is a sequence of words and a prefix of the next word. Its score is the sum over all CTC
paths that spell it; paths that end in a blank and paths that end in a unit are summed separately
(Graves et al., 2006; Hannun et al., 2014). All scores include the weighted language model.
Hypotheses that differ only in earlier words, which no longer matter, have the same future: they are
recombined, that is, only the best is kept.

Compiling takes seconds and grows with the code, so no function here allocates or calls numpy.

Shapes: T frames, V units, K hypotheses in the beam, C candidates for the next beam, A arcs of one
hypothesis, E ends, R records.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.decoding.beam.compiled import compiled, inner
from asr.decoding.beam.hotwords import BETWEEN, LOW_BITS, MULTIPLIER, OFF, SHIFT
from asr.decoding.beam.lexicon import ROOT, UNKNOWN
from asr.decoding.lattice import LEAST
from asr.text import BLANK

# Columns of a hypothesis in the beam (the first six) and of a candidate.
NODE, STATE, HOT, LAST, HASH, TRACE, WORD, UNIT, ALIKE = range(9)
"""Node of the lexicon; state of the language model; state of the hot words; last unit; hash of the
words; its record, or for a candidate the hypothesis that it extends; the word that the unit ends,
or NO_WORD; the unit that must be recorded, or NO_UNIT; whether an earlier candidate has the same
future."""
BLANK_MASS, UNIT_MASS, LANGUAGE, TOTAL = range(4)
"""Log mass of the paths that end in a blank; of those that end in a unit; the language model's
share of the score; the sum of both masses. While candidates are built, TOTAL is the largest mass
that was merged into one."""
_int: Any = np.int64
_float: Any = np.float64
# Numba compiles a function again for literals and for narrower numbers.
NO_WORD, NO_UNIT = _int(-1), _int(-1)
PREVIOUS, NODE_BEFORE, UNIT_AFTER, WORD_ENDED = range(4)
"""Columns of a record: the previous record; a node whose path of units follows; a unit after that;
the word that ends, NO_WORD, or JOIN."""
END_RECORD, END_NODE, END_WORD, END_HASH = range(4)
"""Columns of an end: its record, its last node, its last word, and the hash of all its words."""
JOIN = _int(-3)
"""Marks a record that joins a second history, whose record is in column NODE_BEFORE; `losses` says
by how much that history is worse."""
NO_MODEL, WORDS, UNITS = range(3)
"""The tokens of the language model."""
SLOTS = 1 << 12
"""Size of the hash table of futures."""
CACHED = 1 << 12
"""Size of the cache of the language model's answers."""

_NONE, _NOTHING = _int(0), _int(-1)
_UNSPELLED = _int(UNKNOWN)
_NEVER = -math.inf
_NEGLIGIBLE = -36.0  # below the precision of a sum


class Model(NamedTuple):
    """An n-gram model as the search reads it; see `asr.lm.ngram.NGram`."""

    first: NDArray[np.int32]
    """The entries that follow state `s` are `first[s]` to `first[s + 1]`, sorted by word."""
    word: NDArray[np.int32]
    scores: NDArray[np.float32]
    backoffs: NDArray[np.float32]
    shorter: NDArray[np.int32]
    leads: NDArray[np.bool_]
    start: int
    end: int
    """Id of the end of a sentence."""
    kind: int
    """NO_MODEL, WORDS or UNITS."""


class Weights(NamedTuple):
    """`BeamSettings` with a fixed type for each number."""

    size: int
    width: float
    choices: int
    reach: float
    skip: float
    """Frames whose blank has at least this log-probability are skipped."""
    lm: float
    word_bonus: float
    unknown_price: float
    open: bool
    """Whether words outside the lexicon may be spelled."""
    recombine: bool
    """Whether hypotheses with the same future are recombined."""
    joins: bool
    """Whether recombined hypotheses are recorded, for n-best results."""


class Work(NamedTuple):
    """The working memory of a search."""

    beam: NDArray[np.int64]
    """`(K, 6)` the hypotheses, the best first."""
    masses: NDArray[np.float64]
    """`(K, 4)` their scores."""
    spare: NDArray[np.int64]
    spare_masses: NDArray[np.float64]
    candidates: NDArray[np.int64]
    """`(C, 9)` candidates for the next beam."""
    sums: NDArray[np.float64]
    """`(C, 4)` their scores."""
    same_future: NDArray[np.int64]
    """`(C,)` the next candidate with the same future, or -1."""
    totals: NDArray[np.float64]
    """`(C,)` the sum of both masses; -inf for candidates that are dropped."""
    ranked: NDArray[np.float64]
    """`(C,)` scratch space for selection."""
    slots: NDArray[np.int32]
    """`(SLOTS,)` a hash table of futures: the last candidate with one of each slot, or -1."""
    same_slot: NDArray[np.int32]
    """`(C,)` the one before with another future of the same slot, or -1."""
    arcs: NDArray[np.int64]
    """`(A, 7)`."""
    arc_gains: NDArray[np.float64]
    """`(A,)` their scores."""
    scores: NDArray[np.float64]
    """`(V,)` the scores of a frame."""
    chosen: NDArray[np.float64]
    """`(V,)` the scores of the chosen units, -inf for the others."""
    tried: NDArray[np.int64]
    """`(V,)` the chosen units that do not separate words."""
    separators: NDArray[np.int64]
    """`(V,)` the chosen units that separate words."""
    visited_by: NDArray[np.int64]
    """`(V,)` the last hypothesis whose node has a child for a unit, initially -1."""
    cached_questions: NDArray[np.int64]
    """`(CACHED,)` queries to the language model, initially -1."""
    cached_scores: NDArray[np.float64]
    cached_states: NDArray[np.int64]
    records: NDArray[np.int32]
    """`(R, 4)`."""
    losses: NDArray[np.float32]
    """`(R, 2)` for joins: by how much the second history is worse, in total and in language."""
    ends: NDArray[np.int64]
    """`(E, 4)`."""
    end_scores: NDArray[np.float64]
    """`(E, 2)` the total score, and the language model's share of it."""


# Columns of an arc: the node that it leads to; the states of the language model and, before the
# unit, of the hot words; the unit; the hash, the word and the recorded unit of a candidate.
_TARGET, _LM_STATE, _HOT_STATE, _UNIT, _WORDS_HASH, _WORD_ENDED, _RECORDED = range(7)


@inner
def mixed(hash: int, value: int) -> int:
    """A hash of `hash` and `value`."""
    product = (hash ^ value) * MULTIPLIER
    return product ^ ((product >> SHIFT) & LOW_BITS)


@inner
def _log_add(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    if not low - high > _NEGLIGIBLE:  # nor where both are -inf
        return high
    return high + math.log1p(math.exp(low - high))


@inner
def _kth_highest(values: Any, count: int, k: int) -> float:
    """The `k`-th highest (from 1) of the first `count` values, reordered (quickselect)."""
    low, high, k = 0, count - 1, k - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        i, j = low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]


@inner
def _score_word(model: Any, state: int, word: int) -> tuple[float, int]:
    """log P(word | state), and the state after the word."""
    score = 0.0
    known = False
    while True:
        low, high = _int(model.first[state]), _int(model.first[state + 1])
        end = high
        if state == 0:  # unigrams are stored in the order of word ids
            low = high = word
        while low < high:
            middle = (low + high) >> 1
            if model.word[middle] < word:
                low = middle + 1
            else:
                high = middle
        if low < end and model.word[low] == word:
            if not known:
                score += model.scores[low]
                known = True
            if model.leads[low]:
                return score, low + 1
        elif not known:
            score += model.backoffs[state]
        if state == 0:
            return score, 0
        state = _int(model.shorter[state])


@inner
def _cached_answer(model: Any, work: Any, state: int, word: int) -> int:
    """The place in the cache of log P(word | state), which is computed if it is not there."""
    key = state * len(model.scores) + word
    slot = mixed(key, 1) & (CACHED - 1)
    if work.cached_questions[slot] != key:
        work.cached_questions[slot] = key
        work.cached_scores[slot], work.cached_states[slot] = _score_word(model, state, word)
    return slot


@inner
def _hot_target(hot: Any, state: int, symbol: int) -> int:
    """The state of the hot words that a symbol leads to, -1 if there is none."""
    key = state * hot.symbols + symbol
    mask = len(hot.keys) - 1
    slot = mixed(key, 1) & mask
    while hot.keys[slot] >= 0:
        if hot.keys[slot] == key:
            return hot.targets[slot]
        slot = (slot + 1) & mask
    return -1


@inner
def _hot_unit(hot: Any, state: int, unit: int, letters: int) -> int:
    """The state of the hot words after a unit within a word."""
    at = state
    while at != OFF:
        target = _hot_target(hot, at, unit)
        if target >= 0:
            return target
        at = hot.fallback[at]
    if letters > 0:
        return OFF
    return state if hot.between[state] else BETWEEN


@inner
def _hot_word(hot: Any, state: int, word: int) -> tuple[int, float]:
    """The state of the hot words after the end of a word, and the boost earned there."""
    while state != OFF:
        target = _hot_target(hot, state, hot.n_units + word)
        if target >= 0:
            return hot.rest[target], hot.earned[target]
        state = hot.fallback[state]
    return BETWEEN, 0.0


@inner
def _add_mass(
    work: Any, count: int,
    node: int, state: int, hot: int, last: int, hash: int,
    mass: float, language: float, source: int, word: int, unit: int,
) -> int:  # fmt: skip
    """Adds mass to its candidate, which is created if needed; returns the number of candidates."""
    candidates, sums, same_future = work.candidates, work.sums, work.same_future
    slot = mixed((state << 20) ^ node, (hot << 16) ^ last) & (SLOTS - 1)
    at = _int(work.slots[slot])
    while at >= 0 and not (
        candidates[at, NODE] == node
        and candidates[at, STATE] == state
        and candidates[at, LAST] == last
        and candidates[at, HOT] == hot
    ):
        at = _int(work.same_slot[at])
    candidates[count, ALIKE] = at >= 0
    if at < 0:
        work.same_slot[count] = work.slots[slot]
        work.slots[slot] = count
    while at >= 0:
        if candidates[at, HASH] == hash:
            sums[at, UNIT_MASS] = _log_add(sums[at, UNIT_MASS], mass)
            if mass > sums[at, TOTAL]:  # its history is more probable
                sums[at, TOTAL] = mass
                candidates[at, TRACE] = source
                candidates[at, WORD], candidates[at, UNIT] = word, unit
            return count
        if same_future[at] < 0:
            same_future[at] = count
            break
        at = same_future[at]
    candidates[count, NODE], candidates[count, STATE], candidates[count, HOT] = node, state, hot
    candidates[count, LAST], candidates[count, HASH], candidates[count, TRACE] = last, hash, source
    candidates[count, WORD], candidates[count, UNIT] = word, unit
    sums[count, BLANK_MASS], sums[count, UNIT_MASS] = _NEVER, mass
    sums[count, LANGUAGE], sums[count, TOTAL] = language, mass
    same_future[count] = -1
    return count + 1


@inner
def _word_hash(hash: int, node: int, word: int) -> int:
    if word == 0 and node != UNKNOWN:  # the hash has the units of UNKNOWN already
        hash = mixed(hash, ~node)
    return mixed(hash, word + 1)


@inner
def _choose_units(row: Any, prior: Any, separates: Any, work: Any, weights: Any) -> tuple[int, int]:
    """Chooses the units of a frame; returns how many stay in words and how many separate them."""
    scores, chosen, tried, ranked = work.scores, work.chosen, work.tried, work.ranked
    highest = _NEVER
    for unit in range(len(row)):
        scores[unit] = max(row[unit] - prior[unit], LEAST)
        highest = max(highest, scores[unit])
        chosen[unit] = _NEVER
    count = _NONE
    for unit in range(BLANK + 1, len(row)):
        if scores[unit] >= highest - weights.reach:
            ranked[count] = scores[unit]
            tried[count] = unit
            count += 1
    least, equal = _NEVER, 0
    if count > weights.choices:
        least = _kth_highest(ranked, count, weights.choices)
        equal = weights.choices
        for place in range(count):
            equal -= scores[tried[place]] > least
    n_inner = n_separators = _NONE
    for place in range(count):
        unit = tried[place]
        if scores[unit] < least or (scores[unit] == least and equal == 0):
            continue
        equal -= scores[unit] == least
        chosen[unit] = scores[unit]
        if separates[unit]:
            work.separators[n_separators] = unit
            n_separators += 1
        else:
            tried[n_inner] = unit
            n_inner += 1
    return n_inner, n_separators


@inner
def _keep(work: Any, beam: Any, masses: Any, n: int) -> float:
    """Extends every hypothesis by a blank or by its last unit again; returns the best score."""
    top = _NEVER
    for i in range(n):
        last = beam[i, LAST]
        blank = masses[i, TOTAL] + work.scores[BLANK]
        unit = masses[i, UNIT_MASS] + work.scores[last]
        _add_mass(
            work, i, beam[i, NODE], beam[i, STATE], beam[i, HOT], last, beam[i, HASH],
            unit, masses[i, LANGUAGE], i, NO_WORD, NO_UNIT,
        )  # fmt: skip
        work.sums[i, BLANK_MASS] = blank
        work.sums[i, TOTAL] = _log_add(blank, unit)
        top = max(top, work.sums[i, TOTAL])
    return top


@inner
def _add_arc(
    work: Any, count: int, gain: float, target: int, after: int, hot_after: int, unit: int,
    ended: int, word: int, said: int,
) -> int:  # fmt: skip
    arcs = work.arcs
    arcs[count, _TARGET], arcs[count, _LM_STATE], arcs[count, _HOT_STATE] = target, after, hot_after
    arcs[count, _UNIT], arcs[count, _WORDS_HASH] = unit, ended
    arcs[count, _WORD_ENDED], arcs[count, _RECORDED] = word, said
    work.arc_gains[count] = gain
    return count + 1


@inner
def _spell_on(
    work: Any, n_inner: int, visit: int, node: int, state: int, hot_state: int, hash: int,
    reserve: float, lookahead: Any, lexicon: Any, model: Any, weights: Any,
) -> int:  # fmt: skip
    """Collects the arcs of a hypothesis by units within a word; returns their number.

    Args:
        reserve: the score that an arc may lose without being pruned.
    """
    chosen, units = work.chosen, lexicon.unit
    count = _NONE
    for child in range(_int(lexicon.first[node]), _int(lexicon.first[node + 1])):
        unit = _int(units[child])
        work.visited_by[unit] = visit
        gain = _float(lookahead[child] - lookahead[node])
        if chosen[unit] + gain + reserve >= 0.0 and not lexicon.separates[unit]:
            count = _add_arc(
                work, count, gain, child, state, hot_state, unit, hash, NO_WORD, NO_UNIT
            )
    if not weights.open:
        return count
    gain = _float(lookahead[UNKNOWN] - lookahead[node])
    unspelled = hash if node <= UNKNOWN else mixed(hash, ~node)
    for place in range(n_inner):
        unit = work.tried[place]
        if work.visited_by[unit] == visit or chosen[unit] + gain + reserve < 0.0:
            continue
        after, more = state, 0.0
        if model.kind == UNITS:
            slot = _cached_answer(model, work, state, unit)
            more = weights.lm * work.cached_scores[slot] + weights.word_bonus
            after = work.cached_states[slot]
        ended = mixed(unspelled, unit)
        count = _add_arc(
            work, count, gain + more, _UNSPELLED, after, hot_state, unit, ended, NO_WORD, unit
        )
    return count


@inner
def _separate_words(
    work: Any, count: int, n_separators: int, base: float, after: int, hot_after: int, ended: int,
    word: int, last: int, lookahead: Any, lexicon: Any, model: Any, weights: Any,
) -> int:  # fmt: skip
    """Adds arcs by units that separate words; returns the number of arcs."""
    for part in range(n_separators):
        unit = work.separators[part]
        target = _int(lexicon.entry[unit])
        if target < 0:
            continue
        gain, then = base + lookahead[target], after
        said = target == UNKNOWN
        if model.kind == UNITS:
            slot = _cached_answer(model, work, after, unit)
            gain += weights.lm * work.cached_scores[slot] + weights.word_bonus
            then = work.cached_states[slot]
            said = True
        hash = mixed(ended, unit) if said else ended
        said = said or (target == ROOT and last == BLANK)
        count = _add_arc(
            work, count, gain, target, then, hot_after, unit, hash, word, unit if said else NO_UNIT
        )
    return count


@inner
def _word_end(
    work: Any, gain: float, node: int, word: int, state: int, hash: int, hot_state: int,
    model: Any, hot: Any, weights: Any,
) -> tuple[float, int, int, int]:  # fmt: skip
    """`gain` with what a word's end adds; the states of both models and the hash after it."""
    after, ended, hot_after = state, hash, hot_state
    if model.kind == WORDS:
        slot = _cached_answer(model, work, state, word)
        gain += weights.lm * work.cached_scores[slot] + weights.word_bonus
        gain -= weights.unknown_price if word == 0 else 0.0
        after = work.cached_states[slot]
    if model.kind != UNITS:
        ended = _word_hash(hash, node, word)
    if hot.active:
        hot_after, earned = _hot_word(hot, hot_state, word)
        gain += earned
    return gain, after, ended, hot_after


@inner
def _end_words(
    work: Any, count: int, n_separators: int, node: int, state: int, hot_state: int, hash: int,
    last: int, reserve: float, lookahead: Any, lexicon: Any, model: Any, hot: Any, weights: Any,
) -> int:  # fmt: skip
    """Adds the arcs of a hypothesis that end a word; returns the number of arcs."""
    if not lexicon.spelled[node]:
        hot_after = hot_state if hot.between[hot_state] else BETWEEN
        return _separate_words(
            work, count, n_separators, -_float(lookahead[node]), state, hot_after, hash, NO_WORD,
            last, lookahead, lexicon, model, weights,
        )  # fmt: skip
    first, stop = lexicon.word_first[node], lexicon.word_first[node + 1]
    nameless = first == stop
    if nameless and not weights.open:
        return count
    best = _NEVER
    for part in range(n_separators):
        best = max(best, work.chosen[work.separators[part]])
    # The log-probability of a word is at most 0.
    if best - lookahead[node] + 2.0 * max(weights.word_bonus, 0.0) + reserve < 0.0:
        return count
    for place in range(first, stop + nameless):
        word = _NONE if nameless else _int(lexicon.words[place])
        base, after, ended, hot_after = _word_end(
            work, -_float(lookahead[node]), node, word, state, hash, hot_state, model, hot, weights
        )
        count = _separate_words(
            work, count, n_separators, base, after, hot_after, ended, word, last,
            lookahead, lexicon, model, weights,
        )  # fmt: skip
    return count


@inner
def _extend(
    work: Any, beam: Any, masses: Any, n: int, stamp: int, top: float, n_inner: int,
    n_separators: int, lookahead: Any, lexicon: Any, model: Any, hot: Any, weights: Any,
) -> int:  # fmt: skip
    """Extends every hypothesis by every chosen unit; returns the number of candidates."""
    arcs, arc_gains, chosen = work.arcs, work.arc_gains, work.chosen
    letters, credit = lexicon.letters, hot.credit
    count = n
    floor = top - weights.width
    for i in range(n):
        node, state, hot_state = beam[i, NODE], beam[i, STATE], beam[i, HOT]
        hash, last = beam[i, HASH], beam[i, LAST]
        total = masses[i, TOTAL]
        # With a language model over units or with hot words, an arc may still gain.
        surprise = max(weights.word_bonus, 0.0) if model.kind == UNITS else 0.0
        reserve = total - floor + surprise if not hot.active or hot_state == OFF else math.inf
        visit = stamp * len(beam) + i
        n_arcs = _spell_on(
            work, n_inner, visit, node, state, hot_state, hash, reserve,
            lookahead, lexicon, model, weights,
        )  # fmt: skip
        if n_separators > 0:
            n_arcs = _end_words(
                work, n_arcs, n_separators, node, state, hot_state, hash, last, reserve,
                lookahead, lexicon, model, hot, weights,
            )  # fmt: skip
        for arc in range(n_arcs):
            unit = arcs[arc, _UNIT]
            gain = arc_gains[arc]
            next_hot = arcs[arc, _HOT_STATE]
            if hot.active:
                next_hot = _hot_unit(hot, next_hot, unit, letters[unit])
                gain += credit[next_hot] - credit[hot_state]
            # A unit may follow itself only over a blank.
            mass = (masses[i, BLANK_MASS] if unit == last else total) + chosen[unit] + gain
            if mass >= floor and mass > _NEVER:
                top = max(top, mass)
                floor = top - weights.width
                count = _add_mass(
                    work, count, arcs[arc, _TARGET], arcs[arc, _LM_STATE], next_hot, unit,
                    arcs[arc, _WORDS_HASH], mass, masses[i, LANGUAGE] + gain, i,
                    arcs[arc, _WORD_ENDED], arcs[arc, _RECORDED],
                )  # fmt: skip
    return count


@inner
def _recombine(work: Any, count: int, weights: Any) -> None:
    """Drops candidates that are worse than another one with the same future in both masses.

    If they are to be recorded, `same_future` then leads from a remaining candidate to those that it
    beat.
    """
    sums, same_future, totals = work.sums, work.same_future, work.totals
    for at in range(count):
        if work.candidates[at, ALIKE] or same_future[at] < 0:
            continue
        best = other = at
        while other >= 0:
            if totals[other] > totals[best]:
                best = other
            other = same_future[other]
        beaten = -1
        other = at
        while other >= 0:
            following = same_future[other]
            same_future[other] = -1
            if (
                weights.recombine
                and other != best
                and totals[other] > _NEVER
                and sums[other, BLANK_MASS] <= sums[best, BLANK_MASS]
                and sums[other, UNIT_MASS] <= sums[best, UNIT_MASS]
            ):
                totals[other] = _NEVER
                if weights.joins:
                    same_future[other] = beaten
                    beaten = other
            other = following
        same_future[best] = beaten


@inner
def _threshold(work: Any, count: int, size: int) -> tuple[float, int]:
    """The lowest total of the best `size` candidates, and how many of these have exactly that."""
    totals, ranked = work.totals, work.ranked
    n = _NONE
    for at in range(count):
        if totals[at] > _NEVER:
            ranked[n] = totals[at]
            n += 1
    if n <= size:
        return _NEVER, 0
    least = _kth_highest(ranked, n, size)
    equal = size
    for at in range(n):
        equal -= ranked[at] > least
    return least, equal


@inner
def _record(work: Any, count: int, before: int, node: int, unit: int, word: int) -> int:
    records = work.records
    records[count, PREVIOUS], records[count, NODE_BEFORE] = before, node
    records[count, UNIT_AFTER], records[count, WORD_ENDED] = unit, word
    return count


@inner
def _history(work: Any, beam: Any, at: int, count: int, letters: Any) -> tuple[int, int]:
    """The record of candidate `at`, which is created if needed, and the number of records."""
    candidates = work.candidates
    source = candidates[at, TRACE]
    trace, node = beam[source, TRACE], beam[source, NODE]
    word, unit, last = candidates[at, WORD], candidates[at, UNIT], candidates[at, LAST]
    if word >= 0:
        space = unit < 0 and candidates[at, NODE] == ROOT and letters[last] == 0
        trace = _record(work, count, trace, node, last if space else NO_UNIT, word)
        count += 1
        node = ROOT
    if unit >= 0:
        trace = _record(work, count, trace, node, unit, NO_WORD)
        count += 1
    return trace, count


@inner
def _select(
    work: Any, beam: Any, new: Any, masses: Any, count: int, n_records: int, letters: Any,
    weights: Any,
) -> tuple[int, int]:  # fmt: skip
    """Fills the beam `new` with the best candidates; returns their number and that of records."""
    candidates, sums = work.candidates, work.sums
    same_future, totals = work.same_future, work.totals
    top = _NEVER
    for at in range(count):
        totals[at] = _log_add(sums[at, BLANK_MASS], sums[at, UNIT_MASS])
        top = max(top, totals[at])
    for at in range(count):
        if totals[at] < top - weights.width:
            totals[at] = _NEVER
    _recombine(work, count, weights)
    least, equal = _threshold(work, count, weights.size)
    n = best = _NONE
    joins = 2 * weights.size
    for at in range(count):
        if totals[at] == _NEVER or totals[at] < least or (totals[at] == least and equal == 0):
            continue
        equal -= totals[at] == least
        trace, n_records = _history(work, beam, at, n_records, letters)
        loser = same_future[at]
        while loser >= 0 and joins > 0:
            joins -= 1
            beside, n_records = _history(work, beam, loser, n_records, letters)
            lost = totals[at] - _log_add(sums[loser, BLANK_MASS], sums[loser, UNIT_MASS])
            work.losses[n_records, 0] = lost
            work.losses[n_records, 1] = sums[at, LANGUAGE] - sums[loser, LANGUAGE]
            trace = _record(work, n_records, trace, beside, NO_UNIT, JOIN)
            n_records += 1
            loser = same_future[loser]
        for column in range(TRACE):
            new[n, column] = candidates[at, column]
        new[n, TRACE] = trace
        for column in range(TOTAL):
            masses[n, column] = sums[at, column]
        masses[n, TOTAL] = totals[at]
        if totals[at] > masses[best, TOTAL]:
            best = n
        n += 1
    # The best comes first, so that pruning in the next frame starts with a high threshold.
    for column in range(new.shape[1]):
        new[0, column], new[best, column] = new[best, column], new[0, column]
    for column in range(masses.shape[1]):
        masses[0, column], masses[best, column] = masses[best, column], masses[0, column]
    return n, n_records


@inner
def _finish(
    work: Any, beam: Any, masses: Any, n: int, lookahead: Any, lexicon: Any, model: Any, hot: Any,
    weights: Any,
) -> int:  # fmt: skip
    """Fills `ends` with each hypothesis and each of its last words; returns their number."""
    count = _NONE
    for i in range(n):
        node, state, hot_state, hash = beam[i, NODE], beam[i, STATE], beam[i, HOT], beam[i, HASH]
        first, stop = lexicon.word_first[node], lexicon.word_first[node + 1]
        nameless = first == stop
        for place in range(first, stop + nameless):
            word, gain, after, ended = NO_WORD, -_float(lookahead[node]), state, hash
            if lexicon.spelled[node] and (not nameless or weights.open):
                word = _NONE if nameless else _int(lexicon.words[place])
                gain, after, ended, _ = _word_end(
                    work, gain, node, word, state, hash, hot_state, model, hot, weights
                )
            elif lexicon.spelled[node]:  # an incomplete word
                gain -= weights.unknown_price
                ended = mixed(hash, 0)
            if hot.active:
                gain -= hot.credit[hot_state]
            if model.kind != NO_MODEL:
                slot = _cached_answer(model, work, after, model.end)
                gain += weights.lm * work.cached_scores[slot]
            ends, scores = work.ends, work.end_scores
            ends[count, END_RECORD], ends[count, END_NODE] = beam[i, TRACE], node
            ends[count, END_WORD], ends[count, END_HASH] = word, ended
            scores[count, 0] = masses[i, TOTAL] + gain
            scores[count, 1] = masses[i, LANGUAGE] + gain
            count += 1
    return count


@compiled
def search(
    log_probs: Any, prior: Any, lookahead: Any, lexicon: Any, model: Any, hot: Any, weights: Any,
    work: Any,
) -> int:  # fmt: skip
    """Searches an utterance; returns the number of ends in `work`.

    Args:
        log_probs: `(T, V)` float32.
        prior: `(V,)` float32, subtracted from the log-probabilities; 0 for the blank.
        lookahead: `(N,)` float32, the provisional score of an unfinished word at each node.
    """
    beam, masses, spare, spare_masses = work.beam, work.masses, work.spare, work.spare_masses
    beam[0, NODE], beam[0, STATE], beam[0, HOT] = ROOT, model.start, BETWEEN
    beam[0, LAST], beam[0, HASH], beam[0, TRACE] = BLANK, MULTIPLIER, -1
    masses[0, BLANK_MASS], masses[0, UNIT_MASS] = 0.0, _NEVER
    masses[0, LANGUAGE], masses[0, TOTAL] = 0.0, 0.0
    n, n_records = _NONE + 1, _NONE
    for t in range(len(log_probs)):
        row = log_probs[t]
        if row[BLANK] >= weights.skip:
            for i in range(n):
                masses[i, TOTAL] += row[BLANK]
                masses[i, BLANK_MASS], masses[i, UNIT_MASS] = masses[i, TOTAL], _NEVER
            continue
        n_inner, n_separators = _choose_units(row, prior, lexicon.separates, work, weights)
        for slot in range(SLOTS):
            work.slots[slot] = _NOTHING
        top = _keep(work, beam, masses, n)
        count = _extend(
            work, beam, masses, n, t, top, n_inner, n_separators,
            lookahead, lexicon, model, hot, weights,
        )  # fmt: skip
        n, n_records = _select(
            work, beam, spare, spare_masses, count, n_records, lexicon.letters, weights
        )
        beam, masses, spare, spare_masses = spare, spare_masses, beam, masses
    return _finish(work, beam, masses, n, lookahead, lexicon, model, hot, weights)
