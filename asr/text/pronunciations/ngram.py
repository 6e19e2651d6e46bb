"""A back-off n-gram model of graphones in arrays: a whole beam is scored by few array operations.

An entry is an n-gram; entries are sorted by length, context and last graphone. A state is a context
that the model distinguishes: 0 is the empty one, `e + 1` that of entry `e`. The entries that follow
state `s` have the keys `s * V + graphone`, in ascending order over all entries.

Shapes: N queries, V graphones with START and END, E entries, I states (0 and the entries shorter
than the order).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

NO_KEY = np.iinfo(np.int64).max


@dataclass(frozen=True)
class NGram:
    """The model; all logarithms are natural ones. Immutable."""

    vocabulary: int
    """V; the last two are START and END of a word."""
    sizes: tuple[int, ...]
    """Number of entries of length 1, 2, ...; those of length 1 are the whole vocabulary."""
    keys: NDArray[np.int64]
    """`(E + 1,)`, ascending, with NO_KEY at the end."""
    scores: NDArray[np.float32]
    """`(E,)` log P(graphone | context)."""
    backoffs: NDArray[np.float32]
    """`(I,)` added where no entry has the graphone after this context."""
    shorter: NDArray[np.int64]
    """`(I,)` the longest shorter state that is a suffix of this one."""
    after: NDArray[np.int64]
    """`(E,)` the longest state that is a suffix of the entry."""

    @classmethod
    def build(
        cls,
        vocabulary: int,
        sizes: Sequence[int],
        keys: NDArray[np.int64],
        scores: NDArray[np.float32],
        backoffs: NDArray[np.float32],
    ) -> "NGram":
        """The model, with the arrays that follow from the others."""
        shorter = np.zeros(len(backoffs), np.int64)
        after = np.zeros(len(scores), np.int64)
        model = cls(vocabulary, tuple(sizes), keys, scores, backoffs, shorter, after)
        leads = np.zeros(len(scores) + 1, np.bool_)
        leads[keys[:-1] // vocabulary] = True  # other states need not be distinguished
        for start, stop in pairwise(np.cumsum([0, *sizes]).tolist()):
            suffix = np.zeros(stop - start, np.int64)
            if start:
                context, last = np.divmod(keys[start:stop], vocabulary)
                suffix = model.score(shorter[context], last)[1]
            states = np.arange(start + 1, stop + 1)
            after[start:stop] = np.where(leads[states], states, suffix)
            if stop < len(backoffs):
                shorter[states] = suffix
        return model

    @property
    def start(self) -> int:
        """State at the start of a word."""
        return int(self.after[self.vocabulary - 2])

    def score(
        self, states: NDArray[np.int64], graphones: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """`(N,)` log P(graphone | state), and the `(N,)` states after the graphones."""
        value = np.zeros(len(states), np.float32)
        after = np.zeros(len(states), np.int64)
        todo, at = np.arange(len(states)), states
        while len(todo):
            key = at * self.vocabulary + graphones[todo]
            entry = np.searchsorted(self.keys, key)
            hit = self.keys[entry] == key
            found, entry = todo[hit], entry[hit]
            value[found] += self.scores[entry]
            after[found] = self.after[entry]
            todo, at = todo[~hit], at[~hit]
            value[todo] += self.backoffs[at]
            at = self.shorter[at]
        return value, after
