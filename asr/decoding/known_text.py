"""The times of a known text in a recording of any length; either may have more than the other.

As in Kürzinger et al., "CTC-segmentation of large corpora for German end-to-end speech recognition"
(2020), sound that the text does not have costs little, so that a text may be a part of what is
said. Beyond that, words that were not said are passed over, at a price, instead of being spread
over the sound of others.

The words of a text follow one another; each has a state before it and one for each of its units,
with a blank between two units. The state before a word takes blanks, spaces and, at a price for
each frame, any other sound; from there later words may be reached. Paths are compared by Viterbi's
algorithm within a stretch of the text that moves along; what lies 1,500 frames back, a minute at
40 ms each, is settled. So time is linear in the recording's length, and memory grows only by its
path. Prices are in nats, as log-probabilities are.

Shapes: U frames, V units, W words of the stretch, S states of it.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.decoding.lattice import LEAST, Lattice
from asr.text import BLANK

OTHER_SOUND = 2.0
"""Price of a frame whose sound the text does not have, besides that of its likeliest unit."""
PASSED_WORD = 12.0
"""Price of a word that is passed over."""
JUMP, JUMPED_WORD = 60.0, 0.02
"""Prices of passing over many words at once: of doing so, and of each of them."""
REACH = 1_000
"""Words of the text that are followed at a time, far more than a minute has; and the most that are
passed over at once."""
_SETTLED_FRAMES, _EVERY = 1_500, 250
_NEVER = np.float32(-1e30)
_STAY, _NEXT, _OVER = 0, 1, 2


@dataclass(frozen=True)
class Found:
    """A word of the text that was said in the frames `[start, end)`."""

    index: int
    """Which word of the text."""
    start: int
    end: int
    posterior: float
    """The geometric mean over its units, of each unit's mean over its frames."""


@dataclass(frozen=True)
class _Step:
    """How each state was reached in a frame."""

    base: int
    """First state of the stretch."""
    steps: NDArray[np.uint8]
    """`(S,)`."""
    origins: NDArray[np.int32]
    """`(W + 1,)` the word before which the path was, in this frame, before it passed over words."""


class TextAligner:
    """Finds the words of a text in a lattice `(U, V)` whose parts come one after another.

    Args:
        words: the units of each word, at least one, without blanks.
        space: the unit between words, if there is one.
    """

    def __init__(self, words: Sequence[Sequence[int]], space: int | None) -> None:
        self._words = [tuple(units) for units in words]
        self._starts = np.cumsum([0, *(2 * len(units) for units in self._words)])
        """The state before each word, and that after the last."""
        self._gaps = [BLANK] if space is None else [BLANK, space]
        self._units = np.full(int(self._starts[-1]) + 1, BLANK)
        for start, units in zip(self._starts.tolist(), self._words, strict=False):
            self._units[start + 1 : start + 2 * len(units) : 2] = units
        same = self._units[3::2] == self._units[1:-2:2]
        self._over = np.full(len(self._units), _NEVER, np.float32)
        self._over[3::2] = np.where(same, _NEVER, 0.0)
        self._frames = 0
        self._first = 0  # of the frames that are not settled
        self._steps: deque[_Step] = deque()
        self._spelled: deque[Lattice] = deque()
        self._path: list[int] = []
        self._posteriors: list[float] = []
        self._score, self._base, self._word = np.zeros(0, np.float32), 0, 0
        self._open(0)
        self._score[2] = 0.0
        self._jump()

    def add(self, part: Lattice) -> None:
        """Follows the next frames of the lattice, `(U, V)`."""
        for row in part:
            self._follow(row)
            if self._frames - self._first >= _SETTLED_FRAMES + _EVERY:
                self._settle(_EVERY)

    def end(self) -> Iterator[Found]:
        """The words that were found, in order."""
        if self._steps:
            self._settle(self._frames - self._first)
        path = np.maximum.accumulate(np.array(self._path, np.int64))  # (U,)
        word = np.searchsorted(self._starts, path, side="right") - 1
        inside = np.flatnonzero((path > self._starts[word]) & (word < len(self._words)))
        posteriors = np.array(self._posteriors)
        for frames in np.split(inside, np.flatnonzero(np.diff(word[inside])) + 1):
            if not len(frames):
                continue
            states = path[frames]
            sounding = frames[(states - self._starts[word[frames]]) % 2 == 1]  # not a blank
            spelled = path[sounding]
            units = np.split(sounding, np.flatnonzero(np.diff(spelled)) + 1)
            logs = [math.log(max(float(posteriors[unit].mean()), 1e-9)) for unit in units]
            index, posterior = int(word[frames[0]]), math.exp(math.fsum(logs) / len(logs))
            yield Found(index, int(sounding[0]), int(sounding[-1]) + 1, posterior)

    def _open(self, word: int) -> None:
        """The stretch that begins before a word; scores are those of the states that it had."""
        last = min(word + REACH, len(self._words))
        base, end = int(self._starts[word]), int(self._starts[last]) + 1
        # Two states in front that cannot be reached turn the shifts of a frame into slices.
        score = np.full(2 + end - base, _NEVER, np.float32)
        if len(self._score):
            kept = self._score[2 + base - self._base :]
            score[2 : 2 + len(kept)] = kept - kept.max()  # sums of an hour would be inexact
        self._score, self._base, self._word = score, base, word
        self._before = self._starts[word : last + 1] - base  # (W + 1,)
        self._counts = np.arange(len(self._before), dtype=np.float32)
        self._emitted = self._units[base:end].copy()
        self._allowed = self._over[base:end]

    def _follow(self, row: NDArray[np.float32]) -> None:
        """Takes a frame `(V,)`."""
        row = np.maximum(row, LEAST)
        emissions = row[self._emitted]  # (S,)
        emissions[self._before] = max(row[self._gaps].max(), row.max() - OTHER_SOUND)
        stay, following = self._score[2:], self._score[1:-1]
        past = self._score[:-2] + self._allowed
        nearer = np.maximum(stay, following)
        best = np.maximum(nearer, past)
        steps = (following > stay).view(np.uint8) + (past > nearer)
        steps[past > nearer] = _OVER
        self._score[2:] = best + emissions
        self._steps.append(_Step(self._base, steps, self._jump()))
        self._spelled.append(row)
        self._frames += 1

    def _jump(self) -> NDArray[np.int32]:
        """Passes over words, and says from where: `(W + 1,)`."""
        before = self._score[2:][self._before]
        origins = self._counts
        best = before
        for price, base in ((PASSED_WORD, 0.0), (JUMPED_WORD, JUMP)):
            priced = before + price * self._counts
            highest = np.maximum.accumulate(priced)
            source = np.maximum.accumulate(np.where(priced >= highest, self._counts, 0.0))
            reached = highest - price * self._counts - base
            better = reached > best + 1e-6
            origins = np.where(better, source, origins)
            best = np.where(better, reached, best)
        self._score[2:][self._before] = best
        return origins.astype(np.int32)

    def _settle(self, frames: int) -> None:
        """Takes the first of the open frames from the best path so far, and moves the stretch."""
        state = self._base + int(self._score[2:].argmax())
        is_last = self._frames == self._first + frames and self._word + REACH >= len(self._words)
        if is_last and self._score[-1] > _NEVER / 2:
            # The rest of the text is passed over at its price; it may end with its last unit.
            state = self._base + len(self._score) - 3 - int(self._score[-2] > self._score[-1])
        path = []
        for step in reversed(self._steps):
            local = state - step.base
            word = int(np.searchsorted(self._starts, state))
            if self._starts[word] == state:
                first = int(np.searchsorted(self._starts, step.base))
                origin = first + int(step.origins[word - first])
                state = int(self._starts[origin])
                local = state - step.base
            path.append(state)
            state -= int(step.steps[local])
        for state in path[::-1][:frames]:
            row = self._spelled.popleft()
            self._steps.popleft()
            self._path.append(state)
            self._posteriors.append(float(np.exp(min(0.0, row[self._units[state]]))))
        self._first += frames
        word = int(np.searchsorted(self._starts, self._path[-1], side="right")) - 1
        if word > self._word:
            self._open(min(word, len(self._words) - 1))
