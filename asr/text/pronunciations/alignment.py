"""Letters aligned with phones: each pronunciation as a row of graphones (Bisani and Ney, 2008).

A graphone is one letter with zero to two phones: `p:F h:` in "phone", `x:K+S` in "box".
Expectation maximisation over all alignments of the dictionary's words learns the probability of
each graphone, regardless of its neighbours; then each word gets its most probable alignment. Words
with the same numbers of letters and phones are processed together.

Shapes: W words of a group, I letters, J phones, G graphones.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Entry: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""Letters and phones of a word, as numbers from 1."""
MOST_PHONES = 2
"""Phones that one letter can stand for."""
_SCALE = 1e3  # per letter, so that the product of many probabilities does not underflow
_LONGEST = 60  # letters: a longer word might underflow all the same
_ITERATIONS = 12


@dataclass(frozen=True)
class Alignment:
    """Words as sequences of graphones."""

    graphones: NDArray[np.int64]
    """`(G, 3)` letter and two phones of each graphone; 0 stands for no phone."""
    rows: dict[int, NDArray[np.int64]]
    """Entry -> its graphones; entries that cannot be aligned are missing."""


@dataclass(frozen=True)
class _Group:
    entries: NDArray[np.int64]
    """`(W,)`"""
    steps: tuple[NDArray[np.int64], ...]
    """For 0, 1 and 2 phones, `(I, J + 1 - phones, W)`: the graphone that starts at a letter and a
    phone."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the tables of forward and backward sums: `(I + 1, J + 1, W)`."""
        letters, places, words = self.steps[0].shape
        return letters + 1, places, words


def align(entries: Sequence[Entry]) -> Alignment:
    """The most probable alignment of each entry; deterministic."""
    phones = 1 + max((max(entry[1], default=0) for entry in entries), default=0)
    groups, codes = _groups(entries, phones)
    share = np.full(len(codes), 1.0 / max(len(codes), 1))
    for _ in range(_ITERATIONS if groups else 0):
        counts = np.zeros(len(codes))
        for group in groups:
            counts += _expected(group, share)
        share = counts / counts.sum()
    rows: dict[int, NDArray[np.int64]] = {}
    for group in groups:
        rows |= _best(group, share)
    used = np.unique(np.concatenate([*rows.values(), np.zeros(0, np.int64)]))
    number = np.zeros(len(codes), np.int64)
    number[used] = np.arange(len(used))
    code = codes[used]
    graphones = np.stack([code // phones**2, code // phones % phones, code % phones], axis=1)
    return Alignment(graphones, {entry: number[row] for entry, row in sorted(rows.items())})


def _groups(entries: Sequence[Entry], phones: int) -> tuple[list[_Group], NDArray[np.int64]]:
    """Entries grouped by numbers of letters and phones, and the codes of all their graphones."""
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, (letters, said) in enumerate(entries):
        if 0 < len(said) <= MOST_PHONES * len(letters) <= MOST_PHONES * _LONGEST:
            alike[len(letters), len(said)].append(number)
    coded = [
        (members, [_codes(entries, members, step, phones) for step in range(MOST_PHONES + 1)])
        for _, members in sorted(alike.items())
    ]
    found = [np.unique(code) for _, steps in coded for code in steps]
    codes = np.unique(np.concatenate([*found, np.zeros(0, np.int64)]))
    groups = [
        _Group(np.array(members), tuple(np.searchsorted(codes, code) for code in steps))
        for members, steps in coded
    ]
    return groups, codes


def _codes(
    entries: Sequence[Entry], members: Sequence[int], step: int, phones: int
) -> NDArray[np.int64]:
    letters = np.array([entries[member][0] for member in members]).T  # (I, W)
    said = np.array([entries[member][1] for member in members]).T  # (J, W)
    places = max(len(said) + 1 - step, 0)
    codes = np.repeat(letters[:, None] * phones**2, places, axis=1)
    for k in range(step):
        codes += said[k : k + places] * phones ** (1 - k)
    return codes


def _expected(group: _Group, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected count of each graphone over all alignments of the group's words."""
    letters, places, _ = group.shape
    reached = np.zeros(group.shape)  # forward sums: all paths from the start to each cell
    reached[0, 0] = 1.0
    ways = [share[step] * _SCALE for step in group.steps]
    for i in range(letters - 1):
        for phones, way in enumerate(ways):
            reached[i + 1, phones:] += reached[i, : places - phones] * way[i]
    total = reached[-1, -1]
    left = np.zeros(group.shape)  # backward sums, divided by the total
    np.divide(1.0, total, out=left[-1, -1], where=total > 0)
    for i in reversed(range(letters - 1)):
        for phones, way in enumerate(ways):
            way[i] *= left[i + 1, phones:]
            left[i, : places - phones] += way[i]
            way[i] *= reached[i, : places - phones]
    graphones = np.concatenate([step.ravel() for step in group.steps])
    weights = np.concatenate([way.ravel() for way in ways])
    expected: NDArray[np.float64] = np.bincount(graphones, weights, len(share)).astype(np.float64)
    return expected


def _best(group: _Group, share: NDArray[np.float64]) -> dict[int, NDArray[np.int64]]:
    """Entries with the graphones of their most probable alignment (Viterbi)."""
    letters, places, words = group.shape
    best = np.full(group.shape, -np.inf)
    best[0, 0] = 0.0
    by = np.zeros(group.shape, np.int64)
    with np.errstate(divide="ignore"):
        logs = np.log(share)
    for i in range(letters - 1):
        for phones, step in enumerate(group.steps):
            value = best[i, : places - phones] + logs[step[i]]
            better = value > best[i + 1, phones:]
            best[i + 1, phones:][better] = value[better]
            by[i + 1, phones:][better] = phones
    place = np.full(words, places - 1)
    every = np.arange(words)
    rows = np.zeros((words, letters - 1), np.int64)
    for i in reversed(range(letters - 1)):
        phones_of = by[i + 1, place, every]
        place = np.maximum(place - phones_of, 0)
        for phones, step in enumerate(group.steps):
            some = np.flatnonzero((phones_of == phones) & (place < step.shape[1]))
            rows[some, i] = step[i, place[some], some]
    spelled = np.flatnonzero(np.isfinite(best[-1, -1]))
    return {int(group.entries[word]): rows[word] for word in spelled}
