"""The words that a search can find, as a trie of the units that spell or pronounce them.

A word may have several sequences of units, and a sequence several words. Nodes are numbered level
by level, so that the children of a node are adjacent.

Shapes: S sequences, V units, W words, N nodes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from asr.errors import BadData
from asr.text import BLANK, PhoneTokenizer, Tokenizer
from asr.text import Lexicon as Pronounced

ROOT = 0
"""The node between two words."""
UNKNOWN = 1
"""The node of every spelling that is no prefix of a word."""
_NO_WORD = -1
Frozen = TypeVar("Frozen", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Boundaries:
    """The role of each unit in words; every field is `(V,)`."""

    separates: NDArray[np.bool_]
    """Whether the unit ends the word before it: a space, or a subword that starts a word."""
    letters: NDArray[np.int64]
    """Letters or phones that the unit stands for; 0 for a space, the blank, and a word-start mark
    alone."""
    led: bool
    """Whether words start with a unit that separates them, as in SentencePiece; else there is a
    space between words."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Boundaries":
        """Those of a tokenizer's units."""
        units = range(BLANK + 1, tokenizer.n_units)
        letters = [0, *(len(tokenizer.decode([unit])) for unit in units)]
        inner = [u for u in units if letters[u] and len(tokenizer.word_spans([u, u])) == 1]
        # Whatever stands between two of these separate them or does not.
        separate = [len(tokenizer.word_spans([*inner[:1], u, *inner[:1]])) > 1 for u in units]
        (begin, *_) = tokenizer.encode(tokenizer.decode([next(u for u in units if letters[u])]))
        return cls(np.array([False, *separate]), np.array(letters), separate[begin - 1])

    @classmethod
    def spaced(cls, n_units: int, space: int) -> "Boundaries":
        """Those of units of one letter or phone each, with one unit for a space between words."""
        letters = np.ones(n_units, dtype=np.int64)
        letters[[BLANK, space]] = 0
        return cls(np.arange(n_units) == space, letters, led=False)


@dataclass(frozen=True)
class Spellings:
    """Sequences of units, each with its word; in flat arrays, since vocabularies are large."""

    words: NDArray[np.int64]
    """`(S,)` the id of each sequence's word."""
    units: NDArray[np.int64]
    """The units of all sequences, one after the other."""
    starts: NDArray[np.int64]
    """`(S + 1,)` the start of each sequence in `units`, and the end of the last."""

    @classmethod
    def of(cls, entries: Iterable[tuple[int, Sequence[int]]]) -> "Spellings":
        """Those of pairs of a word's id and its units."""
        pairs = list(entries)
        lengths = np.array([0, *(len(units) for _, units in pairs)], dtype=np.int64)
        flat = [unit for _, units in pairs for unit in units]
        words = np.array([word for word, _ in pairs], dtype=np.int64)
        return cls(words, np.array(flat, dtype=np.int64), np.cumsum(lengths))

    @classmethod
    def by(cls, tokenizer: Tokenizer, words: Sequence[str]) -> "Spellings":
        """Sequences by a tokenizer of words in normal form.

        Args:
            words: by id; empty ones, and those that no units spell, are left out.
        """
        unknown = tokenizer.unknown("".join(words))
        ids = [id for id, word in enumerate(words) if word and not unknown.intersection(word)]
        if not ids:
            return cls.of([])
        boundaries = Boundaries.of(tokenizer)
        # One call for all: the units that part words tell where each one ends.
        units = np.array(tokenizer.encode(" ".join(words[id] for id in ids)))
        separating = boundaries.separates[units]
        owner = np.cumsum(separating)
        if boundaries.led:
            owner -= 1
        else:
            units, owner = units[~separating], owner[~separating]
        ends = np.cumsum(np.bincount(owner, minlength=len(ids)))
        return cls(np.array(ids), units, np.append(0, ends))

    @classmethod
    def said(
        cls, tokenizer: PhoneTokenizer, lexicon: Pronounced, words: Sequence[str]
    ) -> "Spellings":
        """All pronunciations of some words in a lexicon.

        Args:
            words: by id; those that the lexicon lacks are left out.

        Raises:
            BadData: the lexicon has a phone that the units lack.
        """
        found = [(id, way) for id, word in enumerate(words) for way in lexicon.get(word, ())]
        ids = np.array([id for id, _ in found], dtype=np.int64)
        lengths = np.array([0, *(len(way) for _, way in found)], dtype=np.int64)
        phones = chain.from_iterable(way for _, way in found)
        try:
            units = np.array([tokenizer.unit_of[phone] for phone in phones], dtype=np.int64)
        except KeyError as error:
            raise BadData(f"no unit stands for the phone {error} of the lexicon.") from None
        return cls(ids, units, np.cumsum(lengths))

    def joined(self, more: "Spellings") -> "Spellings":
        """These and more."""
        return Spellings(
            np.append(self.words, more.words),
            np.append(self.units, more.units),
            np.append(self.starts, self.starts[-1] + more.starts[1:]),
        )

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """`(S,)` units of each sequence."""
        return np.diff(self.starts)


class _Grown(NamedTuple):
    """The nodes of a trie to which sequences were added, and where everything is in them."""

    parent: NDArray[np.int64]
    """`(N,)`."""
    unit: NDArray[np.int64]
    """`(N,)`."""
    place: NDArray[np.int64]
    """The new number of each node that was there before."""
    paths: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    """For each level: the nodes that sequences reach there, and which sequences."""
    node: NDArray[np.int64]
    """`(S,)` the node at which each sequence ends."""


class Lexicon(NamedTuple):
    """The trie in arrays, as the compiled search reads it."""

    first: NDArray[np.int32]
    """`(N + 1,)` the children of node `n` are `first[n]` to `first[n + 1]`."""
    unit: NDArray[np.int32]
    """`(N,)` the unit that leads to each node."""
    parent: NDArray[np.int32]
    """`(N,)`; of ROOT and UNKNOWN -1."""
    best: NDArray[np.float32]
    """`(N,)` the highest unigram (natural log) of the words below a node."""
    spelled: NDArray[np.bool_]
    """`(N,)` whether a node is inside a word."""
    word_first: NDArray[np.int32]
    """`(N + 1,)` the words that end at node `n` are `words[word_first[n] : word_first[n + 1]]`."""
    words: NDArray[np.int32]
    entry: NDArray[np.int32]
    """`(V,)` the node after a unit that separates words, whatever came before."""
    separates: NDArray[np.bool_]
    """`(V,)` whether a unit separates words."""
    letters: NDArray[np.int64]
    """`(V,)` see `Boundaries`."""
    open: bool
    """Whether words that are not in the lexicon may be spelled, as unknown words."""

    @classmethod
    def build(
        cls,
        spellings: Spellings | Iterable[tuple[int, Sequence[int]]],
        unigram: NDArray[np.float32],
        boundaries: Boundaries,
        open: bool = False,
    ) -> "Lexicon":
        """The lexicon of sequences of units.

        Args:
            spellings: ids of words, from 1 on, with their units: no limit on sequences of a word
                or words of a sequence.
            unigram: `(W,)` natural logs by id, item 0 for unknown words.
            open: words may be spelled that are not in the lexicon; for letters and subwords.
        """
        if not isinstance(spellings, Spellings):
            spellings = Spellings.of(spellings)
        elsewhere = UNKNOWN if open else -1
        empty = cls(
            first=np.full(3, 2, np.int32),
            unit=np.full(2, BLANK, np.int32),
            parent=np.full(2, -1, np.int32),
            best=np.array([-np.inf, unigram[0]], np.float32),
            spelled=np.array([False, True]),
            word_first=np.zeros(3, np.int32),
            words=np.zeros(0, np.int32),
            entry=np.where(boundaries.letters == 0, ROOT, elsewhere).astype(np.int32),
            separates=boundaries.separates,
            letters=boundaries.letters,
            open=open,
        )
        if boundaries.led:
            # A lone sign of a word's begin belongs to the word, known or not: it has a node.
            marks = np.flatnonzero(boundaries.separates & (boundaries.letters == 0)).tolist()
            spellings = spellings.joined(Spellings.of((_NO_WORD, [mark]) for mark in marks))
        return empty.extended(spellings, unigram)

    def extended(self, spellings: Spellings, unigram: NDArray[np.float32]) -> "Lexicon":
        """The lexicon with more sequences of units, just as `build` makes it of all of them.

        It takes a few passes over the arrays, however little is added.
        """
        n_words = len(unigram)
        parent, unit, place, paths, node = self._with_nodes_for(spellings)
        nodes = len(parent)
        scores = np.where(spellings.words < 0, -np.inf, unigram[spellings.words])
        best = np.full(nodes, -np.inf, np.float32)
        best[place] = self.best
        for reached, sequences in paths:
            np.maximum.at(best, reached, scores[sequences].astype(np.float32))
        spelled = (parent != ROOT) | (self.letters[unit] > 0)
        spelled[ROOT] = False
        best[~spelled] = 0.0

        owner = np.repeat(place, np.diff(self.word_first))
        ended = (node * n_words + spellings.words)[spellings.words >= 0]
        pairs, *_ = _merged(owner * n_words + self.words, ended)
        owner, words = np.divmod(pairs, n_words)
        opening = np.flatnonzero(parent == ROOT)
        entry = self.entry.copy()
        entry[unit[opening]] = opening
        children = np.bincount(parent[2:], minlength=nodes)
        ends = np.bincount(owner, minlength=nodes)
        return frozen(
            self._replace(
                first=np.append(2, 2 + np.cumsum(children)).astype(np.int32),
                unit=unit.astype(np.int32),
                parent=parent.astype(np.int32),
                best=best,
                spelled=spelled,
                word_first=np.append(0, np.cumsum(ends)).astype(np.int32),
                words=words.astype(np.int32),
                entry=entry,
            )
        )

    def _with_nodes_for(self, spellings: Spellings) -> _Grown:
        """The nodes of the trie and of more sequences, merged level by level."""
        n_units = len(self.separates)
        place = np.arange(len(self.unit))
        node = np.full(len(spellings.words), ROOT)  # that each sequence has come to
        parents, units = [np.full(2, -1)], [np.full(2, BLANK)]
        paths: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        active = np.arange(len(node))
        start, stop, nodes, depth = 0, 2, 2, 0
        while True:
            start, stop = int(self.first[start]), int(self.first[stop])  # the level below
            active = active[spellings.lengths[active] > depth]
            if start == stop and not len(active):
                break
            known = place[self.parent[start:stop]] * n_units + self.unit[start:stop]
            asked = node[active] * n_units + spellings.units[spellings.starts[active] + depth]
            edges, kept, found = _merged(known, asked)
            place[start:stop] = nodes + kept
            node[active] = nodes + found
            paths.append((node[active], active))
            parents.append(edges // n_units)
            units.append(edges % n_units)
            nodes, depth = nodes + len(edges), depth + 1
        return _Grown(np.concatenate(parents), np.concatenate(units), place, paths, node)

    def follow(self, node: int, unit: int) -> int:
        """The node after a unit inside a word; -1 if there is none."""
        children = self.unit[self.first[node] : self.first[node + 1]]
        found = int(np.searchsorted(children, unit))
        if found < len(children) and children[found] == unit:
            return int(self.first[node]) + found
        return UNKNOWN if self.open else -1


def _merged(
    known: NDArray[np.int64], asked: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Ascending numbers with those that are asked for, each once; where all known ones are in them,
    and where all that are asked for."""
    new, which = np.unique(asked, return_inverse=True)
    at = np.searchsorted(known, new)
    missing = np.append(known, -1)[at] != new
    before = at[missing]
    places = np.arange(len(known))
    places += np.searchsorted(before, places, side="right")
    found = at + np.cumsum(missing) - missing
    return np.insert(known, before, new[missing]), places, found[which]


def frozen(arrays: Frozen) -> Frozen:
    """Arrays that nobody may write to, as those that are mapped into memory."""
    for array in arrays:
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return arrays
