"""Written texts as arrays: each word's number, case and mark, and where a stretch of words ends."""

import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.errors import BadData
from asr.punctuation.marks import ENDS, MIXED, UPPER, Written, parse
from asr.punctuation.pieces import PIECES, pieces
from asr.punctuation.sound import SOUND, sound
from asr.text import normalise

ENDED, WITHIN = 100, 101
"""In place of a mark: a sentence ends behind the word, by whichever mark, or it goes on."""
_OVERLAP = 6
"""A sentence whose first words stand like this in a text that is held out is left out."""
_MOST_UPPER = 0.3
"""A paragraph with a larger share of words in capitals is a heading, or shouts."""


class Vocabulary:
    """Numbers of plain words, in the order in which they were met."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, word: str) -> int:
        """The word's number, a new one if it is new."""
        return self._numbers.setdefault(word, len(self._numbers))

    def pieces(self, rows: int) -> NDArray[np.int32]:
        """`(words, PIECES)`: the rows of each word in a table of so many."""
        if not self._numbers:
            return np.zeros((0, PIECES), np.int32)
        return pieces(list(self._numbers), rows).astype(np.int32)


@dataclass(frozen=True)
class Text:
    """Consecutive words, N of them."""

    words: NDArray[np.int32]
    """`(N,)`, numbers of a `Vocabulary`."""
    cases: NDArray[np.int8]
    """`(N,)`"""
    marks: NDArray[np.int8]
    """`(N,)`; `ENDED` or `WITHIN` where only the ends of sentences are known."""
    paragraphs: NDArray[np.int8]
    """`(N,)`: 1 behind the last word of a paragraph, else 0; -1 where that means nothing."""
    ends: NDArray[np.int32]
    """`(N,)`: where the stretch ends to which a word belongs: what follows has nothing to do with
    it."""
    sound: NDArray[np.float32] | None = None
    """`(N, SOUND)` if the words were spoken."""
    forms: dict[str, dict[str, int]] = field(default_factory=dict, repr=False)
    """How often each word was written in which form of mixed letters, or in another one ("")."""

    def __len__(self) -> int:
        return len(self.words)

    @property
    def sentence_ends(self) -> NDArray[np.bool_]:
        """`(N,)`: whether a sentence ends behind a word."""
        return np.isin(self.marks, [*ENDS, ENDED])


def written_text(lines: Iterable[str], vocabulary: Vocabulary, apart: bool) -> Text:
    """A text of paragraphs.

    Args:
        apart: whether neighbouring paragraphs have nothing to do with each other; they may still
            be read in one window, but their ends are no ends of paragraphs.
    """
    return _text((_stretches(line) for line in lines), vocabulary, None, apart)


def plain_text(lines: Iterable[str], vocabulary: Vocabulary, held_out: Iterable[Text]) -> Text:
    """A text of sentences without marks, one a line: of its words only the ends of sentences are
    known.

    Args:
        held_out: texts whose sentences are left out.
    """
    known = {
        tuple(text.words[first : first + _OVERLAP].tolist())
        for text in held_out
        for first in range(len(text) - _OVERLAP + 1)
    }
    words, marks = array("i"), array("b")
    for line in lines:
        numbers = [vocabulary.number(word) for word in normalise(line).split()]
        if not numbers or tuple(numbers[:_OVERLAP]) in known:
            continue
        words.extend(numbers)
        marks.extend([WITHIN] * (len(numbers) - 1))
        marks.append(ENDED)
    count = len(words)
    return Text(
        np.array(words, np.int32),
        np.full(count, -1, np.int8),
        np.array(marks, np.int8),
        np.full(count, -1, np.int8),
        np.full(count, count, np.int32),
    )


def spoken_text(path: Path, vocabulary: Vocabulary) -> tuple[Text, list[str]]:
    """The clips of a file of `asr punctuation listen`, each a stretch of its own, and their ids.

    Raises:
        BadData: it cannot be read, or is no such file.
    """
    clips: list[list[list[Written]]] = []
    heard, ids = [], []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            clip = json.loads(line)
            words = [word for word in parse(clip["written"]) if word is not None]
            plain, times = [word.plain for word in words], np.array(clip["times"])
            if len(words) < 2 or len(times) != len(words):
                continue
            clips.append([words])
            ids.append(clip["id"])
            heard.append(sound(plain, times[:, 0].tolist(), times[:, 1].tolist()))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise BadData(
            f"{path} is no file of `asr punctuation listen` ({error}): write it with that command."
        ) from error
    joined = np.concatenate(heard) if heard else np.zeros((0, SOUND), np.float32)
    return _text(clips, vocabulary, joined, apart=True), ids


def _stretches(line: str) -> list[list[Written]]:
    """The words of a paragraph between numbers that have no one reading; none of a heading."""
    stretches: list[list[Written]] = [[]]
    for word in parse(line):
        if word is None:
            stretches.append([])
        else:
            stretches[-1].append(word)
    count = sum(map(len, stretches))
    upper = sum(word.case == UPPER and len(word.plain) > 1 for part in stretches for word in part)
    return [] if upper > _MOST_UPPER * count else stretches


def _text(
    paragraphs: Iterable[Sequence[Sequence[Written]]],
    vocabulary: Vocabulary,
    heard: NDArray[np.float32] | None,
    apart: bool,
) -> Text:
    words, cases, marks = array("i"), array("b"), array("b")
    breaks, lasts = array("b"), array("b")
    forms: dict[str, dict[str, int]] = {}
    for stretches in paragraphs:
        for number, stretch in enumerate(stretches):
            for word in stretch:
                words.append(vocabulary.number(word.plain))
                cases.append(word.case)
                marks.append(word.mark)
                lasts.append(0)
                breaks.append(-1 if apart else 0)
                if word.case == MIXED or word.plain in forms:
                    counts = forms.setdefault(word.plain, {})
                    form = word.form if word.case == MIXED else ""
                    counts[form] = counts.get(form, 0) + 1
            if lasts and (number + 1 < len(stretches) or heard is not None):
                lasts[-1] = 1  # the stretch ends
        if breaks and not apart and stretches:
            breaks[-1] = 1
    if lasts:
        lasts[-1] = 1
    ends = np.flatnonzero(lasts) + 1
    sizes = np.diff(ends, prepend=0)
    return Text(
        np.array(words, np.int32),
        np.array(cases, np.int8),
        np.array(marks, np.int8),
        np.array(breaks, np.int8),
        np.repeat(ends, sizes).astype(np.int32),
        heard,
        forms,
    )


def mixed_forms(texts: Iterable[Text], least: int = 2) -> dict[str, str]:
    """The forms of words that are mostly written in one of their own, and at least so often."""
    totals: dict[str, dict[str, int]] = {}
    for text in texts:
        for plain, counts in text.forms.items():
            total = totals.setdefault(plain, {})
            for form, count in counts.items():
                total[form] = total.get(form, 0) + count
    best = {plain: max(sorted(counts), key=counts.__getitem__) for plain, counts in totals.items()}
    return {
        plain: form
        for plain, form in sorted(best.items())
        if form and totals[plain][form] >= least and form.lower() == plain
    }
