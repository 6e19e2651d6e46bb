"""Windows of words, drawn from texts at random, as batches for training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from asr.errors import BadOption
from asr.punctuation.marks import MARKS, NONE, STOP
from asr.punctuation.sound import SOUND
from asr.training.punctuation.texts import ENDED, WITHIN, Text

IGNORED = -1
"""Stands for what is not asked of a word: padding, or no paragraphs."""
_SNAPPED = 0.6
"""Of the windows, those that begin at the start of a sentence; as many end at the end of one."""
_LIKE = {ENDED: STOP, WITHIN: NONE}
"""The mark whose pauses are drawn where only the ends of sentences are known."""
_MISTAKEN = 0.3
"""Of the windows, those with wrong words."""


@dataclass(frozen=True)
class Windows:
    """A batch: B windows of up to T words."""

    pieces: Tensor
    """`(B, T, P)`"""
    sound: Tensor
    """`(B, T, S)`"""
    lengths: Tensor
    """`(B,)`"""
    cases: Tensor
    """`(B, T)`"""
    marks: Tensor
    """`(B, T)`"""
    paragraphs: Tensor
    """`(B, T)`"""

    def to(self, device: torch.device) -> "Windows":
        """The same on another device."""
        return Windows(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Window:
    """Words of a text from `first` to before `end`."""

    text: Text
    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first


class Drawer:
    """Draws batches.

    Args:
        texts: to draw from.
        weights: how often from each.
        table: `(words, P)`, the pieces of each word of the vocabulary.
        words: in a batch, padding included.
        longest: the most words of a window.
        mistakes: share of words that are replaced in windows with wrong words, as a recogniser
            may.
        heard: share of the windows of plain text that get the pauses of speech.
    """

    def __init__(
        self,
        texts: Sequence[Text],
        weights: Sequence[float],
        table: NDArray[np.int32],
        words: int,
        longest: int,
        mistakes: float,
        heard: float,
    ) -> None:
        self._texts, self._table = texts, table
        self._weights = np.array(weights) / sum(weights)
        self._words, self._longest, self._mistakes = words, longest, mistakes
        self._pauses = _pauses(texts)
        self._heard = heard if self._pauses else 0.0
        self._ends = [np.flatnonzero(text.sentence_ends) + 1 for text in texts]

    def draw(self, generator: Generator) -> Windows:
        """A batch of windows of about one length."""
        longest = int(np.exp(generator.uniform(np.log(8), np.log(self._longest + 1))))
        count = max(1, self._words // longest)
        places = generator.choice(len(self._texts), count, p=self._weights)
        windows = [self._window(place, longest, generator) for place in places]
        sounds = [self._sound(window, generator) for window in windows]
        return batch(windows, sounds, self._table, self._with_mistakes(windows, generator))

    def _window(self, place: int, longest: int, generator: Generator) -> Window:
        text, ends = self._texts[place], self._ends[place]
        first = int(generator.integers(len(text)))
        stretch = int(text.ends[first])
        if generator.random() < _SNAPPED:
            start = _last(ends, first)
            if start < first and text.ends[start] == stretch:
                first = start
        end = min(first + longest, stretch)
        if generator.random() < _SNAPPED:
            last = _last(ends, end)
            end = last if last > first else end
        return Window(text, first, end)

    def _sound(self, window: Window, generator: Generator) -> NDArray[np.float32] | None:
        if window.text.sound is not None:
            spoken = generator.random() < 0.8  # what was spoken may be read without its sound
            return window.text.sound[window.first : window.end] if spoken else None
        if generator.random() >= self._heard:
            return None
        found = np.zeros((len(window), SOUND), np.float32)
        marks = window.text.marks[window.first : window.end]
        for mark in np.unique(marks):
            chosen = np.flatnonzero(marks == mark)
            known = self._pauses[_LIKE.get(int(mark), int(mark))]
            found[chosen] = known[generator.integers(len(known), size=len(chosen))]
        return found

    def _with_mistakes(
        self, windows: Sequence[Window], generator: Generator
    ) -> list[NDArray[np.int32]]:
        read = []
        for window in windows:
            words = window.text.words[window.first : window.end]
            if self._mistakes and generator.random() < _MISTAKEN:
                wrong = generator.random(len(words)) < self._mistakes
                others = generator.integers(len(window.text), size=len(words))
                words = np.where(wrong, window.text.words[others], words)
            read.append(words)
        return read


def _last(ends: NDArray[np.int64], place: int) -> int:
    """The last of the ends up to a place, else 0."""
    before = int(np.searchsorted(ends, place, "right"))
    return int(ends[before - 1]) if before else 0


def _pauses(texts: Sequence[Text]) -> dict[int, NDArray[np.float32]]:
    """The sound of words in front of each mark, as far as it was heard; empty if nothing was."""
    spoken = [text for text in texts if text.sound is not None]
    if not spoken:
        return {}
    marks = np.concatenate([text.marks for text in spoken])
    heard = np.concatenate([text.sound for text in spoken if text.sound is not None])
    known = heard[:, 0] > 0
    found = {mark: heard[known & (marks == mark)] for mark in range(len(MARKS))}
    like = {mark: rows for mark, rows in found.items() if len(rows) >= 20}
    if NONE not in like:
        raise BadOption("data.spoken holds too little speech: give more, or leave it out.")
    strong = np.concatenate([rows for mark, rows in like.items() if mark != NONE] or [like[NONE]])
    return {mark: like.get(mark, strong) for mark in range(len(MARKS))}


def batch(
    windows: Sequence[Window],
    sounds: Sequence[NDArray[np.float32] | None],
    table: NDArray[np.int32],
    words: Sequence[NDArray[np.int32]] | None = None,
) -> Windows:
    """Windows side by side, padded.

    Args:
        words: what is read in place of the windows' own words.
    """
    longest = max(map(len, windows))
    pieces = np.zeros((len(windows), longest, table.shape[1]), np.int64)
    heard = np.zeros((len(windows), longest, SOUND), np.float32)
    asked = np.full((3, len(windows), longest), IGNORED, np.int64)
    for row, (window, known) in enumerate(zip(windows, sounds, strict=True)):
        part, length = slice(window.first, window.end), len(window)
        pieces[row, :length] = table[window.text.words[part] if words is None else words[row]]
        if known is not None:
            heard[row, :length] = known
            heard[row, length - 1, :2] = 0.0  # behind the last word nothing is known
        columns = window.text.cases, window.text.marks, window.text.paragraphs
        for number, column in enumerate(columns):
            asked[number, row, :length] = column[part]
    lengths = torch.tensor([len(window) for window in windows])
    cases, marks, paragraphs = torch.from_numpy(asked)
    return Windows(
        torch.from_numpy(pieces), torch.from_numpy(heard), lengths, cases, marks, paragraphs
    )


def cut(text: Text, longest: int) -> Iterator[Window]:
    """All of a text in windows, one behind the other."""
    first = 0
    while first < len(text):
        end = min(first + longest, int(text.ends[first]))
        yield Window(text, first, end)
        first = end
