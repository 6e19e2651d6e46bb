"""The words around a number, and the numbers found before it."""

import re
from collections.abc import Iterable, Sequence

from asr.punctuation.numbers.cues import LINKS
from asr.punctuation.numbers.number import Number
from asr.punctuation.numbers.spelling import is_read_as


class Context:
    """Plain words, and the numbers that were found in them so far."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.found: list[Number] = []
        self.left = -1
        """Where the last row of several numbers ends that stayed words."""

    def word(self, at: int) -> str:
        """The word at a place; empty outside of the text."""
        return self.words[at] if 0 <= at < len(self.words) else ""

    def follows(self, at: int, *phrase: str) -> bool:
        """Whether a phrase begins at a place."""
        return tuple(self.words[at : at + len(phrase)]) == phrase

    def keep(self, candidates: Iterable[Number]) -> bool:
        """Keeps the first candidate that reads as its words."""
        for one in candidates:
            if is_read_as(one.text, self.words[one.first : one.end]):
                self.found.append(one)
                return True
        return False

    def is_written(self, at: int) -> bool:
        """Whether a number in digits ends before a place."""
        return bool(self.found) and self.found[-1].end == at

    def follows_year(self, at: int) -> bool:
        """Whether a year and `and`, `or` or `to` stand before a place."""
        is_linked = self.word(at - 1) in LINKS and self.is_written(at - 1)
        return is_linked and re.fullmatch(r"\d{4}", self.found[-1].text) is not None

    def done(self, end: int) -> int:
        """Where to go on behind words up to `end` and the last number."""
        return max(end, self.found[-1].end if self.found else 0)

    def half_of_day(self, at: int) -> tuple[str, int]:
        """`am` or `pm` at a place and where it ends; empty if it is not there."""
        for half in ("am", "pm"):
            if self.follows(at, half[0], "m"):
                return half, at + 2
            if self.follows(at, half):
                return half, at + 1
        return "", at
