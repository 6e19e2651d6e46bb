"""The pronunciation with which each word of a known text was spoken.

It is on the most probable path of CTC (Viterbi) through a graph in which the pronunciations of a
word are parallel branches between spaces. Each unit is a node, followed by a node for its blank.

Shapes: U frames, P units, S nodes, E largest number of edges into a node.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from asr.counting import counted
from asr.decoding.lattice import LEAST
from asr.text import BLANK


@dataclass
class _Graph:
    """Nodes in order of time; `edges` lists the predecessors of each."""

    units: list[int] = field(default_factory=lambda: [BLANK])
    edges: list[list[int]] = field(default_factory=lambda: [[0]])
    said: list[tuple[int, int]] = field(default_factory=lambda: [(-1, -1)])
    """The word and its pronunciation that each node belongs to."""

    def grow(self, before: Sequence[int], unit: int, said: tuple[int, int]) -> list[int]:
        """Adds a unit after the nodes `before`, and its blank; the next unit may follow either."""
        node = len(self.units)
        # A repeated unit needs a blank in between (Graves et al., 2006).
        reached = [at for at in before if self.units[at] != unit]
        self.units += [unit, BLANK]
        self.edges += [[node, *reached], [node + 1, node]]
        self.said += [said, said]
        return [node, node + 1]


def choose(
    log_probs: NDArray[np.float32], words: Sequence[Sequence[Sequence[int]]], space: int
) -> list[int]:
    """For each word, which of its pronunciations is on the most probable path.

    Args:
        log_probs: `(U, P)` natural logs of the phone head.
        words: for each word the units of its pronunciations, at least one.
        space: the unit between two words.

    Raises:
        ValueError: there are too few frames for every pronunciation.
    """
    graph, ends = _graph(words, space)
    path = _best_path(log_probs, graph, ends)
    chosen = {word: which for word, which in (graph.said[node] for node in path) if word >= 0}
    return [chosen[word] for word in range(len(words))]


def _graph(words: Sequence[Sequence[Sequence[int]]], space: int) -> tuple[_Graph, list[int]]:
    """The graph of a text, and its final nodes."""
    graph, ends = _Graph(), [0]
    for word, pronunciations in enumerate(words):
        if word:
            ends = graph.grow(ends, space, (-1, -1))
        following: list[int] = []
        for which, units in enumerate(pronunciations):
            at = ends
            for unit in units:
                at = graph.grow(at, unit, (word, which))
            following += at
        ends = following
    return graph, ends


def _best_path(
    log_probs: NDArray[np.float32], graph: _Graph, ends: Sequence[int]
) -> NDArray[np.int64]:
    """`(U,)` the nodes of the most probable path."""
    nodes, most = len(graph.units), max(map(len, graph.edges))
    edges = np.array([[*into, *into[:1] * (most - len(into))] for into in graph.edges])  # (S, E)
    emissions = np.maximum(log_probs, LEAST)[:, graph.units].astype(np.float64)  # (U, S)
    score = np.full(nodes, -np.inf)
    score[[node for node, into in enumerate(graph.edges) if node == 0 or 0 in into]] = 0.0
    score += emissions[0] if len(emissions) else -np.inf
    steps = np.zeros((len(log_probs), nodes), np.int64)
    for frame in range(1, len(log_probs)):
        reached = score[edges]  # (S, E)
        best = reached.argmax(1)
        steps[frame] = edges[np.arange(nodes), best]
        score = reached[np.arange(nodes), best] + emissions[frame]
    node = max(ends, key=lambda end: score[end])
    if not np.isfinite(score[node]):
        raise ValueError(
            f"{counted(len(log_probs), 'frame')} cannot spell the text; check that they match."
        )
    path = [node]
    for frame in range(len(log_probs) - 1, 0, -1):
        path.append(int(steps[frame, path[-1]]))
    return np.array(path[::-1])
