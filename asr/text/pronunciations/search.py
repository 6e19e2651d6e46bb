"""Beam search from rows of symbols to their readings: letters to phones, or phones to letters.

Many rows are read together. Rows with a common prefix share its search: a node is a prefix of one
or more rows. A sorted vocabulary has a third as many nodes as letters.

Shapes: N nodes of one depth, H hypotheses, G graphones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.text.pronunciations.ngram import NGram

Ints: TypeAlias = NDArray[np.int64]

BEAM = 20
"""Hypotheses that are kept for each node."""
_WIDTH = 9.0  # nats that a hypothesis may be worse than the best of its node
_SILENT = 2  # consecutive graphones that consume no symbol: silent letters
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Found:
    """One reading of a row."""

    said: tuple[int, ...]
    probability: float
    """Among the readings that were followed to the end."""


@dataclass(frozen=True)
class _Beam:
    """Hypotheses; every field is an array `(H,)`."""

    node: Ints
    state: Ints
    score: NDArray[np.float64]
    digest: NDArray[np.uint64]
    """Hash of the output so far, by which equal readings are found and merged."""
    before: Ints
    """Place in the trace of the hypothesis that this one extends."""
    graphone: Ints

    def __getitem__(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "_Beam":
        return _Beam(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, *others: "_Beam") -> "_Beam":
        beams = [self, *others]
        columns = ([getattr(beam, field.name) for beam in beams] for field in fields(self))
        return _Beam(*map(np.concatenate, columns))


@dataclass(frozen=True)
class _Depth:
    """Nodes of one depth, in order."""

    parents: Ints
    """`(N,)` the parent of each node, one depth above."""
    codes: tuple[Ints, Ints, Ints]
    """`(N,)` each: the last zero, one and two symbols of each node, as one number."""
    nodes: Ints
    """The node of each row; of rows that are shorter, any node."""


class Search:
    """Reads rows of symbols by a model of graphones. Immutable."""

    def __init__(self, model: NGram, given: Ints, said: Ints) -> None:
        """`given` and `said` are the input and output symbols of each graphone, `(G, 2)`, or 0."""
        self._model = model
        self._said = said
        self._symbols = int(given.max(initial=0)) + 1
        numbers = np.count_nonzero(given, axis=1)
        self._by_code = []
        for number in range(3):
            ids = np.flatnonzero(numbers == number)
            codes = given[ids, 0] + self._symbols * given[ids, 1]
            order = np.argsort(codes, kind="stable")
            bounds = np.searchsorted(codes[order], np.arange(self._symbols**2 + 1))
            self._by_code.append((ids[order], bounds))

    def __call__(self, rows: Sequence[Sequence[int]], nbest: int) -> list[list[Found]]:
        """Up to `nbest` readings of each row (never empty), the best first.

        The readings of a row do not depend on the other rows.
        """
        order = sorted(range(len(rows)), key=lambda row: tuple(rows[row]))
        lengths = np.array([len(rows[row]) for row in order])
        depths = self._depths([rows[row] for row in order], lengths)
        trace = _Trace()
        zero = np.zeros(1, np.int64)
        root = _Beam(
            zero, zero + self._model.start, np.zeros(1), zero.astype(np.uint64), zero - 1, zero - 1
        )
        beams: list[_Beam] = []
        last: list[_Beam] = []  # of each row, as its node
        for depth, level in enumerate(depths):
            beam = root
            if depth:
                beam = self._expanded(beams[-1], level.parents, level.codes[1], 1)
            if depth > 1:
                grand = depths[depth - 1].parents[level.parents]
                beam = beam.joined(self._expanded(beams[-2], grand, level.codes[2], 2))
            beam = trace.kept(_best(beam, BEAM))
            beams.append(self._with_silent(beam, level, trace))
            ending = np.flatnonzero(lengths == depth)
            hypotheses, which = _of_nodes(beams[-1], level.nodes[ending])
            last.append(replace(beams[-1][hypotheses], node=ending[which]))
        found = self._ended(last[0].joined(*last[1:]), trace, nbest)
        result: list[list[Found]] = [[] for _ in rows]
        for row, reading in found:
            result[order[row]].append(reading)
        return result

    def _depths(self, rows: Sequence[Sequence[int]], lengths: Ints) -> list[_Depth]:
        symbols = np.zeros((len(rows), int(lengths.max(initial=0))), np.int64)
        for index, row in enumerate(rows):
            symbols[index, : len(row)] = row
        none = np.zeros(1, np.int64)
        depths = [_Depth(none, (none, none, none), np.zeros(len(rows), np.int64))]
        new = np.zeros(len(rows), np.bool_)
        for depth in range(1, symbols.shape[1] + 1):
            symbol = symbols[:, depth - 1]
            new = new | (np.diff(symbol, prepend=-1) != 0)
            alive = lengths >= depth
            first = np.flatnonzero(new & alive)
            nodes = np.searchsorted(first, np.arange(len(rows)), side="right") - 1
            one = symbol[first]
            two = (symbols[first, depth - 2] if depth > 1 else 0) + self._symbols * one
            codes = (np.zeros_like(one), one, two)
            depths.append(_Depth(depths[-1].nodes[first], codes, nodes))
        return depths

    def _expanded(self, beam: _Beam, parents: Ints, codes: Ints, number: int) -> _Beam:
        """The beams of `parents`, extended by graphones that consume `number` symbols, per node."""
        ids, bounds = self._by_code[number]
        hypotheses, nodes = _of_nodes(beam, parents)
        first = bounds[codes[nodes]]
        count = bounds[codes[nodes] + 1] - first
        which = np.repeat(np.arange(len(nodes)), count)
        graphone = ids[_spread(first, count)]
        before = hypotheses[which]
        value, state = self._model.score(beam.state[before], graphone)
        return _Beam(
            nodes[which],
            state,
            beam.score[before] + value,
            self._digest(beam.digest[before], graphone),
            beam.before[before],
            graphone,
        )

    def _with_silent(self, beam: _Beam, level: _Depth, trace: "_Trace") -> _Beam:
        """The beam, and its extensions by a few graphones that consume no symbol."""
        if not len(self._by_code[0][0]):
            return beam
        every = np.arange(len(level.parents))
        added = beam
        for _ in range(_SILENT):
            added = trace.kept(_best(self._expanded(added, every, level.codes[0], 0), BEAM))
            beam = beam.joined(added)
        return _best(beam, BEAM)

    def _digest(self, digest: NDArray[np.uint64], graphone: Ints) -> NDArray[np.uint64]:
        for column in self._said.T:
            symbol = column[graphone].astype(np.uint64)
            mixed = (digest ^ (digest >> np.uint64(29))) * _FACTOR + symbol
            digest = np.where(symbol > 0, mixed, digest)
        return digest

    def _ended(self, beam: _Beam, trace: "_Trace", nbest: int) -> list[tuple[int, Found]]:
        """Rows with their readings, the best first."""
        ends = np.full(len(beam.state), self._model.vocabulary - 1)
        score = beam.score + self._model.score(beam.state, ends)[0]
        beam = _best(replace(beam, score=score, state=np.zeros_like(beam.state)), BEAM)
        first = np.searchsorted(beam.node, beam.node)
        share = np.exp(beam.score - beam.score[first])
        share /= np.bincount(beam.node, share)[beam.node]
        found = []
        for at in np.flatnonzero(np.arange(len(first)) - first < nbest):
            said = self._said[trace.back(int(beam.before[at]))].ravel()
            reading = Found(tuple(said[said > 0].tolist()), float(share[at]))
            found.append((int(beam.node[at]), reading))
        return found


class _Trace:
    """The predecessor and graphone of each hypothesis that was kept, for tracing back."""

    def __init__(self) -> None:
        self._before: list[Ints] = []
        self._graphones: list[Ints] = []
        self._size = 0
        self._flat: tuple[list[int], list[int]] | None = None

    def kept(self, beam: _Beam) -> _Beam:
        """Records the beam; returns it with the place of each hypothesis in the trace."""
        self._before.append(beam.before)
        self._graphones.append(beam.graphone)
        places = np.arange(self._size, self._size + len(beam.node))
        self._size += len(places)
        return replace(beam, before=places)

    def back(self, place: int) -> list[int]:
        """The graphones that led to a place."""
        if self._flat is None:
            before, graphones = np.concatenate(self._before), np.concatenate(self._graphones)
            self._flat = before.tolist(), graphones.tolist()
        before_, graphones_ = self._flat
        row = []
        while before_[place] >= 0:  # the root alone has none
            row.append(graphones_[place])
            place = before_[place]
        return row[::-1]


def _of_nodes(beam: _Beam, nodes: Ints) -> tuple[Ints, Ints]:
    """All hypotheses of some nodes, and for each of them the index of its node in `nodes`."""
    first = np.searchsorted(beam.node, nodes)
    count = np.searchsorted(beam.node, nodes, side="right") - first
    return _spread(first, count), np.repeat(np.arange(len(nodes)), count)


def _spread(first: Ints, count: Ints) -> Ints:
    """`count[0]` integers from `first[0]` up, then `count[1]` from `first[1]` up, and so on."""
    before = np.cumsum(count) - count
    result: Ints = np.arange(int(count.sum())) + np.repeat(first - before, count)
    return result


def _best(beam: _Beam, most: int) -> _Beam:
    """The best hypotheses of each node, in order; equal ones are merged and their sum is kept."""
    best = np.full(int(beam.node.max(initial=0)) + 1, -np.inf)
    np.maximum.at(best, beam.node, beam.score)
    beam = beam[beam.score > best[beam.node] - _WIDTH]
    beam = beam[np.lexsort((-beam.score, beam.digest, beam.state, beam.node))]
    other = np.diff(beam.node, prepend=-1) != 0
    other |= np.diff(beam.state, prepend=-1) != 0
    other |= np.append(True, beam.digest[1:] != beam.digest[:-1])[: len(other)]
    first = np.flatnonzero(other)
    top = beam.score[first]
    of = np.cumsum(other) - 1
    sums = np.bincount(of, np.exp(beam.score - top[of]), len(first))
    beam = replace(beam[first], score=top + np.log(sums))
    beam = beam[np.lexsort((-beam.score, beam.node))]
    rank = np.arange(len(beam.node)) - np.searchsorted(beam.node, beam.node)
    return beam[rank < most]
