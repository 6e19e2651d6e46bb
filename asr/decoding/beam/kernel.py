"""The search itself, compiled: one utterance, frame by frame, over flat arrays.

A hypothesis is a row of words and what is spelled of the next one. Its score sums all CTC paths
that spell it, those that end in a blank apart from those that end in a unit (Graves et al., 2006;
Hannun et al., 2014). Of hypotheses with the same future, which differ in earlier words only, the
better stays. Scores in here have the weighted language model in them already.

Compiling takes seconds and grows with the code, so nothing in here allocates or calls numpy.

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
from asr.text import BLANK

# Columns of a hypothesis in the beam (the first six), and of a candidate.
NODE, STATE, HOT, LAST, HASH, TRACE, WORD, UNIT, TWIN = range(9)
"""Node of the lexicon; states of the language model and of the hot words; last unit; hash of the
words; its record (of a candidate: the hypothesis that it grows from); the word that the unit ends,
or NO_WORD; the unit that must be recorded, or NO_UNIT; whether another has the same future."""
BLANK_MASS, UNIT_MASS, LANGUAGE, TOTAL = range(4)
"""Log mass of the paths that end in a blank, of those that end in a unit; what of it is language;
the sum of both masses, and while candidates are made the largest part that was merged into one."""
_int: Any = np.int64
_float: Any = np.float64
# Numba compiles what is given literals, or narrower numbers, once more.
NO_WORD, NO_UNIT = _int(-1), _int(-1)
BEFORE, SPELLED, SAID, MEANT = range(4)
"""Columns of a record: the one before; a node whose spelling follows; a unit after that; the word
that ends, NO_WORD, or JOIN. Of an end: the record, the last node, the last word; and its hash."""
JOIN = _int(-3)
"""A record with another history beside it, in column SPELLED, which `losses` says is worse by."""
NO_MODEL, WORDS, UNITS = range(3)
"""What the language model is over."""
CACHED = 1 << 12
"""Answers of the language model that are remembered."""

_NONE = _int(0)
_UNSPELLED = _int(UNKNOWN)
_NEVER = -math.inf
_LEAST = -1e4  # stands for a log-probability of -inf
_NEGLIGIBLE = -36.0  # below the precision of a sum


class Model(NamedTuple):
    """An n-gram model as the search reads it; see `asr.lm.ngram.NGram`."""

    first: NDArray[np.int32]
    """What follows state `s` are the entries `first[s]` to `first[s + 1]`, by word."""
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
    """What `BeamSettings` says, in numbers of one type each."""

    size: int
    width: float
    choices: int
    reach: float
    skip: float
    """Log-probability of a blank from which on a frame is passed over."""
    lm: float
    word_bonus: float
    unknown_price: float
    open: bool
    """Words may be spelled that are not in the lexicon."""
    recombine: bool
    """Of hypotheses with one future all but the best are dropped at once."""
    joins: bool
    """What is dropped is recorded, for further results."""


class Work(NamedTuple):
    """Memory that a search writes to."""

    beam: NDArray[np.int64]
    """`(K, 6)` the hypotheses that are followed, the best first."""
    masses: NDArray[np.float64]
    """`(K, 4)` of these."""
    spare: NDArray[np.int64]
    spare_masses: NDArray[np.float64]
    ints: NDArray[np.int64]
    """`(C, 9)` candidates."""
    floats: NDArray[np.float64]
    """`(C, 4)` of these."""
    twins: NDArray[np.int64]
    """`(C,)` the next candidate with the same future, or -1."""
    totals: NDArray[np.float64]
    """`(C,)` both masses; -inf of those that are dropped."""
    ranked: NDArray[np.float64]
    """`(C,)` to select in."""
    slots: NDArray[np.int64]
    """A hash table of futures: the first candidate of each."""
    stamps: NDArray[np.int64]
    """The frame in which a slot was last used; -1 in the beginning."""
    arcs: NDArray[np.int64]
    """`(A, 7)`."""
    gains: NDArray[np.float64]
    """`(A,)` of these."""
    scores: NDArray[np.float64]
    """`(V,)` of a frame."""
    chosen: NDArray[np.float64]
    """`(V,)` the scores of the units that are tried, else -inf."""
    tried: NDArray[np.int64]
    """`(V,)` units that are tried and part no words."""
    parting: NDArray[np.int64]
    """`(V,)` units that are tried and part words."""
    seen: NDArray[np.int64]
    """`(V,)` the last hypothesis that had a child for a unit; -1 in the beginning."""
    asked: NDArray[np.int64]
    """`(CACHED,)` questions to the language model; -1 in the beginning."""
    answers: NDArray[np.float64]
    states: NDArray[np.int64]
    records: NDArray[np.int32]
    """`(R, 4)`."""
    losses: NDArray[np.float32]
    """`(R, 2)` of joins: by how much the other history is worse, and what of it is language."""
    ends: NDArray[np.int64]
    """`(E, 4)`."""
    end_scores: NDArray[np.float64]
    """`(E, 2)` total, and what of it is language."""


# Columns of an arc: the node that it leads to; the states of both models before its unit is read
# by the hot words; the unit; and so on as in a candidate.
_TARGET, _AFTER, _WARM, _BY, _ENDED, _MEANS, _SAYS = range(7)


@inner
def mixed(hash: int, value: int) -> int:
    """A hash of both."""
    product = (hash ^ value) * MULTIPLIER
    return product ^ ((product >> SHIFT) & LOW_BITS)


@inner
def _log_add(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    if not low - high > _NEGLIGIBLE:  # nor where both are -inf
        return high
    return high + math.log1p(math.exp(low - high))


@inner
def _kth(values: Any, count: int, k: int) -> float:
    """The `k`-th highest of so many values (from 1 on), which lose their order."""
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
def _ask(model: Any, state: int, word: int) -> tuple[float, int]:
    """log P(word | state), and the state after the word."""
    score = 0.0
    known = False
    while True:
        low, high = _int(model.first[state]), _int(model.first[state + 1])
        end = high
        if state == 0:  # every word stands where its id says
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
def _recall(model: Any, work: Any, state: int, word: int) -> int:
    """Where the answer to a question stands; the model is asked if it must be."""
    key = state * len(model.scores) + word
    slot = mixed(key, 1) & (CACHED - 1)
    if work.asked[slot] != key:
        work.asked[slot] = key
        work.answers[slot], work.states[slot] = _ask(model, state, word)
    return slot


@inner
def _hot_target(hot: Any, state: int, symbol: int) -> int:
    """The hot words' state that a symbol leads to, -1 if none."""
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
    """The hot words' state after a unit of a word."""
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
    """The hot words' state after the end of a word, and what hot words earn there."""
    while state != OFF:
        target = _hot_target(hot, state, hot.n_units + word)
        if target >= 0:
            return hot.rest[target], hot.earned[target]
        state = hot.fallback[state]
    return BETWEEN, 0.0


@inner
def _place(
    work: Any, stamp: int, count: int,
    node: int, state: int, hot: int, last: int, hash: int,
    mass: float, language: float, source: int, word: int, unit: int,
) -> int:  # fmt: skip
    """Adds mass to the candidate that it belongs to, or makes that one; how many there are."""
    ints, floats, twins = work.ints, work.floats, work.twins
    slots, stamps = work.slots, work.stamps
    mask = len(slots) - 1
    slot = mixed((state << 20) ^ node, (hot << 16) ^ last) & mask
    tail = -1
    while stamps[slot] == stamp:
        at = slots[slot]
        if (
            ints[at, NODE] == node
            and ints[at, STATE] == state
            and ints[at, LAST] == last
            and ints[at, HOT] == hot
        ):
            while at >= 0:
                if ints[at, HASH] == hash:
                    floats[at, UNIT_MASS] = _log_add(floats[at, UNIT_MASS], mass)
                    if mass > floats[at, TOTAL]:  # its history is the likelier one
                        floats[at, TOTAL] = mass
                        ints[at, TRACE], ints[at, WORD], ints[at, UNIT] = source, word, unit
                    return count
                tail = at
                at = twins[at]
            twins[tail] = count
            break
        slot = (slot + 1) & mask
    if tail < 0:
        stamps[slot], slots[slot] = stamp, count
    ints[count, NODE], ints[count, STATE], ints[count, HOT] = node, state, hot
    ints[count, LAST], ints[count, HASH], ints[count, TRACE] = last, hash, source
    ints[count, WORD], ints[count, UNIT], ints[count, TWIN] = word, unit, tail >= 0
    floats[count, BLANK_MASS], floats[count, UNIT_MASS] = _NEVER, mass
    floats[count, LANGUAGE], floats[count, TOTAL] = language, mass
    twins[count] = -1
    return count + 1


@inner
def _word_hash(hash: int, node: int, word: int) -> int:
    if word == 0 and node != UNKNOWN:  # of UNKNOWN the units are in it already
        hash = mixed(hash, ~node)
    return mixed(hash, word + 1)


@inner
def _read(row: Any, prior: Any, parts: Any, work: Any, weights: Any) -> tuple[int, int]:
    """Fills the scores of a frame; how many inner and parting units are tried."""
    scores, chosen, tried, ranked = work.scores, work.chosen, work.tried, work.ranked
    highest = _NEVER
    for unit in range(len(row)):
        scores[unit] = max(row[unit] - prior[unit], _LEAST)
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
        least = _kth(ranked, count, weights.choices)
        equal = weights.choices
        for place in range(count):
            equal -= scores[tried[place]] > least
    n_inner = n_parting = _NONE
    for place in range(count):
        unit = tried[place]
        if scores[unit] < least or (scores[unit] == least and equal == 0):
            continue
        equal -= scores[unit] == least
        chosen[unit] = scores[unit]
        if parts[unit]:
            work.parting[n_parting] = unit
            n_parting += 1
        else:
            tried[n_inner] = unit
            n_inner += 1
    return n_inner, n_parting


@inner
def _stay(work: Any, beam: Any, masses: Any, n: int, stamp: int) -> float:
    """Every hypothesis as it is, with a blank or its last unit once more; the best score."""
    top = _NEVER
    for i in range(n):
        last = beam[i, LAST]
        blank = masses[i, TOTAL] + work.scores[BLANK]
        unit = masses[i, UNIT_MASS] + work.scores[last]
        _place(
            work, stamp, i, beam[i, NODE], beam[i, STATE], beam[i, HOT], last, beam[i, HASH],
            unit, masses[i, LANGUAGE], i, NO_WORD, NO_UNIT,
        )  # fmt: skip
        work.floats[i, BLANK_MASS] = blank
        work.floats[i, TOTAL] = _log_add(blank, unit)
        top = max(top, work.floats[i, TOTAL])
    return top


@inner
def _arc(
    work: Any, count: int, gain: float, target: int, after: int, warm: int, unit: int,
    ended: int, word: int, said: int,
) -> int:  # fmt: skip
    arcs = work.arcs
    arcs[count, _TARGET], arcs[count, _AFTER], arcs[count, _WARM] = target, after, warm
    arcs[count, _BY], arcs[count, _ENDED] = unit, ended
    arcs[count, _MEANS], arcs[count, _SAYS] = word, said
    work.gains[count] = gain
    return count + 1


@inner
def _spell(
    work: Any, n_inner: int, mark: int, node: int, state: int, heat: int, hash: int,
    reserve: float, held: Any, lexicon: Any, model: Any, weights: Any,
) -> int:  # fmt: skip
    """Arcs of a hypothesis by units within a word, of those worth it; how many there are.

    Args:
        reserve: what an arc may lose.
    """
    chosen, units = work.chosen, lexicon.unit
    count = _NONE
    for child in range(_int(lexicon.first[node]), _int(lexicon.first[node + 1])):
        unit = _int(units[child])
        work.seen[unit] = mark
        gain = _float(held[child] - held[node])
        if chosen[unit] + gain + reserve >= 0.0 and not lexicon.parts[unit]:
            count = _arc(work, count, gain, child, state, heat, unit, hash, NO_WORD, NO_UNIT)
    if not weights.open:
        return count
    gain = _float(held[UNKNOWN] - held[node])
    unspelled = hash if node <= UNKNOWN else mixed(hash, ~node)
    for place in range(n_inner):
        unit = work.tried[place]
        if work.seen[unit] == mark or chosen[unit] + gain + reserve < 0.0:
            continue
        after, more = state, 0.0
        if model.kind == UNITS:
            slot = _recall(model, work, state, unit)
            more = weights.lm * work.answers[slot] + weights.word_bonus
            after = work.states[slot]
        ended = mixed(unspelled, unit)
        count = _arc(work, count, gain + more, _UNSPELLED, after, heat, unit, ended, NO_WORD, unit)
    return count


@inner
def _part(
    work: Any, count: int, n_parting: int, gone: float, after: int, warm: int, ended: int,
    word: int, last: int, held: Any, lexicon: Any, model: Any, weights: Any,
) -> int:  # fmt: skip
    """Arcs by units that part words, after a word has ended or none was begun."""
    for part in range(n_parting):
        unit = work.parting[part]
        target = _int(lexicon.entry[unit])
        if target < 0:
            continue
        gain, then = gone + held[target], after
        said = target == UNKNOWN
        if model.kind == UNITS:
            slot = _recall(model, work, after, unit)
            gain += weights.lm * work.answers[slot] + weights.word_bonus
            then = work.states[slot]
            said = True
        hash = mixed(ended, unit) if said else ended
        said = said or (target == ROOT and last == BLANK)
        count = _arc(
            work, count, gain, target, then, warm, unit, hash, word, unit if said else NO_UNIT
        )
    return count


@inner
def _end(
    work: Any, count: int, n_parting: int, node: int, state: int, heat: int, hash: int, last: int,
    reserve: float, held: Any, lexicon: Any, model: Any, hot: Any, weights: Any,
) -> int:  # fmt: skip
    """Arcs of a hypothesis by units that part words; how many there are with those before."""
    if not lexicon.spelled[node]:
        warm = heat if hot.between[heat] else BETWEEN
        return _part(
            work, count, n_parting, -_float(held[node]), state, warm, hash, NO_WORD, last,
            held, lexicon, model, weights,
        )  # fmt: skip
    first, behind = lexicon.word_first[node], lexicon.word_first[node + 1]
    nothing = first == behind
    if nothing and not weights.open:
        return count
    best = _NEVER
    for part in range(n_parting):
        best = max(best, work.chosen[work.parting[part]])
    # No word is likelier than certain.
    if best - held[node] + 2.0 * max(weights.word_bonus, 0.0) + reserve < 0.0:
        return count
    for place in range(first, behind + nothing):
        word = _NONE if nothing else _int(lexicon.words[place])
        gone, after, ended, warm = -_float(held[node]), state, hash, heat
        if model.kind == WORDS:
            slot = _recall(model, work, state, word)
            gone += weights.lm * work.answers[slot] + weights.word_bonus
            gone -= weights.unknown_price if word == 0 else 0.0
            after = work.states[slot]
        if model.kind != UNITS:
            ended = _word_hash(hash, node, word)
        if hot.active:
            warm, earned = _hot_word(hot, heat, word)
            gone += earned
        count = _part(
            work, count, n_parting, gone, after, warm, ended, word, last,
            held, lexicon, model, weights,
        )  # fmt: skip
    return count


@inner
def _extend(
    work: Any, beam: Any, masses: Any, n: int, stamp: int, top: float, n_inner: int,
    n_parting: int, held: Any, lexicon: Any, model: Any, hot: Any, weights: Any,
) -> int:  # fmt: skip
    """Every hypothesis with every unit that is tried; the number of candidates."""
    arcs, gains, chosen = work.arcs, work.gains, work.chosen
    letters, credit = lexicon.letters, hot.credit
    count = n
    floor = top - weights.width
    for i in range(n):
        node, state, heat = beam[i, NODE], beam[i, STATE], beam[i, HOT]
        hash, last = beam[i, HASH], beam[i, LAST]
        total = masses[i, TOTAL]
        # With a unit language model or hot words an arc may gain more than it shows yet.
        surprise = max(weights.word_bonus, 0.0) if model.kind == UNITS else 0.0
        reserve = total - floor + surprise if not hot.active or heat == OFF else math.inf
        mark = stamp * len(beam) + i
        n_arcs = _spell(
            work, n_inner, mark, node, state, heat, hash, reserve, held, lexicon, model, weights
        )
        if n_parting > 0:
            n_arcs = _end(
                work, n_arcs, n_parting, node, state, heat, hash, last, reserve,
                held, lexicon, model, hot, weights,
            )  # fmt: skip
        for arc in range(n_arcs):
            unit = arcs[arc, _BY]
            gain = gains[arc]
            heated = arcs[arc, _WARM]
            if hot.active:
                heated = _hot_unit(hot, heated, unit, letters[unit])
                gain += credit[heated] - credit[heat]
            # A unit may follow itself only over a blank.
            mass = (masses[i, BLANK_MASS] if unit == last else total) + chosen[unit] + gain
            if mass >= floor and mass > _NEVER:
                top = max(top, mass)
                floor = top - weights.width
                count = _place(
                    work, stamp, count, arcs[arc, _TARGET], arcs[arc, _AFTER], heated, unit,
                    arcs[arc, _ENDED], mass, masses[i, LANGUAGE] + gain, i,
                    arcs[arc, _MEANS], arcs[arc, _SAYS],
                )  # fmt: skip
    return count


@inner
def _recombine(work: Any, count: int, weights: Any) -> None:
    """Drops candidates that are behind another with the same future, and stay behind.

    `twins` leads from those that are left to what they beat, if that is to be recorded.
    """
    floats, twins, totals = work.floats, work.twins, work.totals
    for at in range(count):
        if work.ints[at, TWIN] or twins[at] < 0:
            continue
        best = twin = at
        while twin >= 0:
            if totals[twin] > totals[best]:
                best = twin
            twin = twins[twin]
        beaten = -1
        twin = at
        while twin >= 0:
            following = twins[twin]
            twins[twin] = -1
            if (
                weights.recombine
                and twin != best
                and totals[twin] > _NEVER
                and floats[twin, BLANK_MASS] <= floats[best, BLANK_MASS]
                and floats[twin, UNIT_MASS] <= floats[best, UNIT_MASS]
            ):
                totals[twin] = _NEVER
                if weights.joins:
                    twins[twin] = beaten
                    beaten = twin
            twin = following
        twins[best] = beaten


@inner
def _rank(work: Any, count: int, size: int) -> tuple[float, int]:
    """The least total of the best `size`, and how many that have just that are among them."""
    totals, ranked = work.totals, work.ranked
    n = _NONE
    for at in range(count):
        if totals[at] > _NEVER:
            ranked[n] = totals[at]
            n += 1
    if n <= size:
        return _NEVER, 0
    least = _kth(ranked, n, size)
    equal = size
    for at in range(n):
        equal -= ranked[at] > least
    return least, equal


@inner
def _record(work: Any, count: int, before: int, node: int, unit: int, word: int) -> int:
    records = work.records
    records[count, BEFORE], records[count, SPELLED] = before, node
    records[count, SAID], records[count, MEANT] = unit, word
    return count


@inner
def _history(work: Any, beam: Any, at: int, count: int, letters: Any) -> tuple[int, int]:
    """The record that candidate `at` ends in, made where it must be; and how many there are."""
    ints = work.ints
    source = ints[at, TRACE]
    trace, node = beam[source, TRACE], beam[source, NODE]
    word, unit, last = ints[at, WORD], ints[at, UNIT], ints[at, LAST]
    if word >= 0:
        space = unit < 0 and ints[at, NODE] == ROOT and letters[last] == 0
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
    """Fills the beam `new` with the best candidates; how many those are, and the records."""
    ints, floats, twins, totals = work.ints, work.floats, work.twins, work.totals
    top = _NEVER
    for at in range(count):
        totals[at] = _log_add(floats[at, BLANK_MASS], floats[at, UNIT_MASS])
        top = max(top, totals[at])
    for at in range(count):
        if totals[at] < top - weights.width:
            totals[at] = _NEVER
    _recombine(work, count, weights)
    least, equal = _rank(work, count, weights.size)
    n = best = _NONE
    joins = 2 * weights.size
    for at in range(count):
        if totals[at] == _NEVER or totals[at] < least or (totals[at] == least and equal == 0):
            continue
        equal -= totals[at] == least
        trace, n_records = _history(work, beam, at, n_records, letters)
        loser = twins[at]
        while loser >= 0 and joins > 0:
            joins -= 1
            beside, n_records = _history(work, beam, loser, n_records, letters)
            lost = totals[at] - _log_add(floats[loser, BLANK_MASS], floats[loser, UNIT_MASS])
            work.losses[n_records, 0] = lost
            work.losses[n_records, 1] = floats[at, LANGUAGE] - floats[loser, LANGUAGE]
            trace = _record(work, n_records, trace, beside, NO_UNIT, JOIN)
            n_records += 1
            loser = twins[loser]
        for column in range(TRACE):
            new[n, column] = ints[at, column]
        new[n, TRACE] = trace
        for column in range(TOTAL):
            masses[n, column] = floats[at, column]
        masses[n, TOTAL] = totals[at]
        if totals[at] > masses[best, TOTAL]:
            best = n
        n += 1
    # The best comes first, so that what is far behind is known early in the next frame.
    for column in range(new.shape[1]):
        new[0, column], new[best, column] = new[best, column], new[0, column]
    for column in range(masses.shape[1]):
        masses[0, column], masses[best, column] = masses[best, column], masses[0, column]
    return n, n_records


@inner
def _finish(
    work: Any, beam: Any, masses: Any, n: int, held: Any, lexicon: Any, model: Any, hot: Any,
    weights: Any,
) -> int:  # fmt: skip
    """Fills `ends` with the hypotheses and each of their last words; how many there are."""
    count = _NONE
    for i in range(n):
        node, state, heat, hash = beam[i, NODE], beam[i, STATE], beam[i, HOT], beam[i, HASH]
        first, behind = lexicon.word_first[node], lexicon.word_first[node + 1]
        nothing = first == behind
        for place in range(first, behind + nothing):
            word, gain, after, ended = NO_WORD, -_float(held[node]), state, hash
            if lexicon.spelled[node] and (not nothing or weights.open):
                word = _NONE if nothing else _int(lexicon.words[place])
                if model.kind == WORDS:
                    slot = _recall(model, work, state, word)
                    gain += weights.lm * work.answers[slot] + weights.word_bonus
                    gain -= weights.unknown_price if word == 0 else 0.0
                    after = work.states[slot]
                if model.kind != UNITS:
                    ended = _word_hash(hash, node, word)
                if hot.active:
                    _, earned = _hot_word(hot, heat, word)
                    gain += earned
            elif lexicon.spelled[node]:  # a word that is not over, and may not stay so
                gain -= weights.unknown_price
                ended = mixed(hash, 0)
            if hot.active:
                gain -= hot.credit[heat]
            if model.kind != NO_MODEL:
                slot = _recall(model, work, after, model.end)
                gain += weights.lm * work.answers[slot]
            ends, scores = work.ends, work.end_scores
            ends[count, BEFORE], ends[count, SPELLED] = beam[i, TRACE], node
            ends[count, SAID], ends[count, MEANT] = word, ended
            scores[count, 0] = masses[i, TOTAL] + gain
            scores[count, 1] = masses[i, LANGUAGE] + gain
            count += 1
    return count


@compiled
def search(
    log_probs: Any, prior: Any, held: Any, lexicon: Any, model: Any, hot: Any, weights: Any,
    work: Any,
) -> int:  # fmt: skip
    """Searches an utterance; how many ends there are in `work`.

    Args:
        log_probs: `(T, V)` float32.
        prior: `(V,)` float32, taken out of the log-probabilities; 0 for the blank.
        held: `(N,)` float32: what a hypothesis holds on account of its unfinished word.
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
        n_inner, n_parting = _read(row, prior, lexicon.parts, work, weights)
        top = _stay(work, beam, masses, n, t)
        count = _extend(
            work, beam, masses, n, t, top, n_inner, n_parting, held, lexicon, model, hot, weights
        )
        n, n_records = _select(
            work, beam, spare, spare_masses, count, n_records, lexicon.letters, weights
        )
        beam, masses, spare, spare_masses = spare, spare_masses, beam, masses
    return _finish(work, beam, masses, n, held, lexicon, model, hot, weights)
