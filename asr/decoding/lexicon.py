"""A vocabulary's spellings as a trie in arrays, so that a step of all beams is a few gathers.

Shapes: B batch, K beams, C choices of a frame, V units, W words, N nodes, R rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr.text import BLANK, Tokenizer

ROOT = 0
"""The node between two words."""
UNKNOWN = 1
"""The node of every spelling that no word begins with."""
_NOTHING = -1  # the "word" at nodes that spell nothing
_NONE = -1  # no unit


@dataclass(frozen=True)
class Boundaries:
    """What each unit means for words, `(V,)` each."""

    parts: NDArray[np.bool_]
    """The unit ends the word before it (a space; a subword that begins a word)."""
    letters: NDArray[np.int64]
    """How many letters the unit spells; a space, a blank, a lone word-start sign: none."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Boundaries":
        units = range(BLANK + 1, tokenizer.n_units)
        letters = [0, *(len(tokenizer.decode([unit])) for unit in units)]
        inner = [u for u in units if letters[u] and len(tokenizer.word_spans([u, u])) == 1]
        # Whatever stands between two of these parts them or does not.
        parts = [len(tokenizer.word_spans([*inner[:1], u, *inner[:1]])) > 1 for u in units]
        return cls(np.array([False, *parts]), np.array(letters))


@dataclass(frozen=True)
class Lexicon:
    """The trie. Most nodes have one child at most; only the others have a row of their own."""

    word: Tensor
    """`(N,)` int32: the word spelled at a node, 0 if unknown, -1 if nothing is spelled."""
    best: Tensor
    """`(N,)` float32: the highest unigram (natural log) below a node; 0 if nothing is spelled."""
    row: Tensor
    """`(N,)` int64: the row of a node's children; that of the childless is 0."""
    rows: Tensor
    """`(R, V)` int32: the node that each unit leads to."""
    only_unit: Tensor
    """`(N,)` int64: the unit of an only child, else the blank."""
    only_child: Tensor
    """`(N,)` int32: that child."""
    parts: Tensor
    """`(V,)` bool: units that part words."""

    @classmethod
    def build(
        cls, tokenizer: Tokenizer, words: Sequence[str], unigram: NDArray[np.float32]
    ) -> "Lexicon":
        """The lexicon of words in normal form, spelled as the tokenizer would.

        Args:
            words: item 0 stands for unknown words; empty ones, and those that no units spell, are
                left out.
            unigram: `(W,)` natural logs, for the look-ahead.
        """
        boundaries = Boundaries.of(tokenizer)
        parents, unit, word = grow(*spell(tokenizer, words, boundaries.parts), tokenizer.n_units)
        parent = np.concatenate(parents)
        best = _look_ahead(parents, word, unigram)
        silent = (parent == ROOT) & (boundaries.letters[unit] == 0)
        nothing = [ROOT, *np.flatnonzero(silent)]
        word[nothing], best[nothing] = _NOTHING, 0.0
        row, rows, only_unit, only_child = _children(parent, unit, tokenizer.n_units)
        # A unit that parts words begins the next one, whatever came before.
        first = np.flatnonzero(parent == ROOT)
        entry = np.where(boundaries.letters == 0, ROOT, UNKNOWN)
        entry[unit[first]] = first
        rows[:, boundaries.parts] = entry[boundaries.parts]
        arrays = (
            word.astype(np.int32),
            best,
            row,
            rows.astype(np.int32),
            only_unit,
            only_child.astype(np.int32),
            boundaries.parts,
        )
        return cls(*map(torch.from_numpy, arrays))

    def to(self, device: torch.device | str) -> "Lexicon":
        """The same lexicon on a device."""
        return Lexicon(*(getattr(self, field.name).to(device) for field in fields(self)))

    def children(self, nodes: Tensor, units: Tensor, column: Tensor) -> Tensor:
        """`(B, K, C)` int32: where the units of a frame lead to; the blank stays where it is.

        Args:
            nodes: `(B, K)` int32.
            units: `(B, C)`, the blank first.
            column: `(B, V)` the column of each unit in `units`, 0 if there is none.
        """
        flat = nodes.view(-1)
        row = self.row.index_select(0, flat).view(nodes.shape)[:, :, None]
        cells = row * self.rows.shape[1] + units[:, None, :]  # (B, K, C)
        children = self.rows.view(-1).index_select(0, cells.view(-1)).view(cells.shape)
        only_unit = self.only_unit.index_select(0, flat).view(nodes.shape)
        only_child = self.only_child.index_select(0, flat).view(nodes.shape)
        only_column = column.gather(1, only_unit)
        children.scatter_(2, only_column[:, :, None], only_child[:, :, None])
        children[:, :, BLANK] = nodes
        return children

    def follow(self, nodes: NDArray[np.int64], units: NDArray[np.int64]) -> NDArray[np.int32]:
        """Where each of some units leads to from its node; all `(P,)`."""
        pair = torch.from_numpy(np.stack([np.full_like(units, BLANK), units], axis=1))
        column = torch.zeros(len(units), len(self.parts), dtype=torch.int64)
        column.scatter_(1, pair[:, 1:], 1)
        node = torch.from_numpy(nodes.astype(np.int32))[:, None]
        found: NDArray[np.int32] = self.children(node, pair, column)[:, 0, 1].numpy()
        return found


def spell(
    tokenizer: Tokenizer, words: Sequence[str], parts: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Ids of the words that can be spelled, and for each place in a word the units there.

    Item `d` of the list has the unit at place `d` of each word, `_NONE` behind its end.
    """
    unknown = tokenizer.unknown("".join(words))
    ids = [id for id, word in enumerate(words) if word and not unknown.intersection(word)]
    if not ids:
        return np.array(ids, dtype=np.int64), []
    # One call for all: the units that part words tell where each one ends.
    units = np.array(tokenizer.encode(" ".join(words[id] for id in ids)))
    owner = np.cumsum(parts[units])
    if parts[units[0]]:  # subwords: a word's first unit parts it from the one before
        owner -= 1
    else:  # characters: a space stands between
        units, owner = units[~parts[units]], owner[~parts[units]]
    lengths = np.bincount(owner, minlength=len(ids))
    starts = np.cumsum(lengths) - lengths
    longest = int(lengths.max())
    padded = np.append(units, np.full(longest, _NONE))
    return np.array(ids), [
        np.where(lengths > place, padded[starts + place], _NONE) for place in range(longest)
    ]


def grow(
    ids: NDArray[np.int64], spellings: list[NDArray[np.int64]], n_units: int
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64], NDArray[np.int64]]:
    """Parents by level (from ROOT and UNKNOWN on), `(N,)` units that lead to nodes, `(N,)` words.

    Nodes are numbered level by level.
    """
    node = np.full(len(ids), ROOT)
    parents, units = [np.full(2, _NONE)], [np.full(2, BLANK)]
    nodes = 2
    for spelled in spellings:
        active = np.flatnonzero(spelled != _NONE)
        edges, inverse = np.unique(node[active] * n_units + spelled[active], return_inverse=True)
        node[active] = nodes + inverse
        parents.append(edges // n_units)
        units.append(edges % n_units)
        nodes += len(edges)
    word = np.zeros(nodes, dtype=np.int64)
    word[node] = ids
    return parents, np.concatenate(units), word


def _look_ahead(
    parents: list[NDArray[np.int64]], word: NDArray[np.int64], unigram: NDArray[np.float32]
) -> NDArray[np.float32]:
    """`(N,)` the highest unigram of the words that go through each node."""
    best = np.where(word > 0, unigram[word], np.float32(-np.inf))
    best[UNKNOWN] = unigram[0]
    stop = len(best)
    for level in reversed(parents[1:]):
        start = stop - len(level)
        np.maximum.at(best, level, best[start:stop])
        stop = start
    return best


def _children(
    parent: NDArray[np.int64], unit: NDArray[np.int64], n_units: int
) -> tuple[NDArray[np.int64], ...]:
    """`row`, `rows`, `only_unit` and `only_child` of Lexicon."""
    child = np.arange(2, len(parent))
    parent, unit = parent[2:], unit[2:]
    count = np.bincount(parent, minlength=len(child) + 2)
    row = np.where(count > 1, np.cumsum(count > 1), 0)
    rows = np.full((int(row.max()) + 1, n_units), UNKNOWN)
    only_unit, only_child = np.full(len(row), BLANK), np.full(len(row), UNKNOWN)
    alone = count[parent] == 1
    rows[row[parent[~alone]], unit[~alone]] = child[~alone]
    only_unit[parent[alone]], only_child[parent[alone]] = unit[alone], child[alone]
    return row, rows, only_unit, only_child
