"""Words as subtitles: when each is shown, and on which lines.

The rules are those that broadcasters give their subtitlers (BBC subtitle guidelines; Netflix timed
text style guide): two lines of 42 characters at most, never a word cut, cuts where the speaker
pauses, and time enough to read. Among all ways to cut that keep the hard rules the one of least
cost is taken, found by dynamic programming as in Knuth and Plass, "Breaking paragraphs into lines"
(1981).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from asr.transcript.transcript import Seconds, Word

PAUSE_S = 0.8
"""A pause this long ends a spoken sentence more often than not: it always ends a cue."""
LINE_CHARACTERS = 42
"""A cue has two lines of so many characters at most; a longer word has a line to itself."""
MOST_S = 7.0
"""Longest cue; a single word may take longer."""
LEAST_S = 1.0
"""How long a cue stays at least, where the next one leaves it the time."""
READ_PER_S = 17.0
"""Characters that people read in a second."""

_COST_OF_CUTTING = 1.0  # where the speaker does not pause at all; nothing at a pause of PAUSE_S
_COST_OF_A_CUE = 0.3
_COST_OF_A_HURRIED_SECOND = 2.0  # a second of reading time that a cue lacks


@dataclass(frozen=True)
class Cue:
    """A subtitle: shown from `start` to `end`, on one or two `lines`; cues never overlap."""

    start: Seconds
    end: Seconds
    lines: tuple[str, ...]


def between_pauses(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """The words between one pause of `PAUSE_S` and the next."""
    first = 0
    for index, word in enumerate(words):
        at_end = index + 1 == len(words)
        if at_end or words[index + 1].start - word.end >= PAUSE_S:
            yield words[first : index + 1]
            first = index + 1


def cues(words: Sequence[Word], duration: Seconds) -> list[Cue]:
    """The subtitles of a recording of `duration` seconds; `words` follow one another in time."""
    found: list[Cue] = []
    first = 0
    for spoken in between_pauses(words):
        first += len(spoken)
        until = words[first].start if first < len(words) else max(duration, words[-1].end)
        span = _Span(spoken, until)
        found.extend(span.cue(begin, end) for begin, end in span.cut())
    return found


class _Span:
    """Words without a long pause between them, measured once for all ways to cut them."""

    def __init__(self, words: Sequence[Word], until: Seconds) -> None:
        self.words = words
        self.starts = [*(word.start for word in words), until]
        self.marks = [0, *accumulate(len(word.text) + 1 for word in words)]
        self.reach: list[int] = []  # behind the last word of a line that begins with each word
        end = 0
        for begin in range(len(words)):
            end = max(end, begin + 1)  # a word too long for a line has one to itself
            while end < len(words) and self.characters(begin, end + 1) <= LINE_CHARACTERS:
                end += 1
            self.reach.append(end)
        self.reach.append(len(words))

    def characters(self, begin: int, end: int) -> int:
        """Length of `words[begin:end]` as a text."""
        return self.marks[end] - self.marks[begin] - 1

    def text(self, begin: int, end: int) -> str:
        """`words[begin:end]` as a text."""
        return " ".join(word.text for word in self.words[begin:end])

    def cut(self) -> list[tuple[int, int]]:
        """The way of least cost to cut the words into cues: begin and end of each."""
        best: list[tuple[float, int]] = [(0.0, 0)]  # by number of words: cost, last cue's begin
        for end in range(1, len(self.words) + 1):
            begin = end - 1
            ways = [(best[begin][0] + self.cost(begin, end), begin)]
            while begin > 0 and self.fits(begin - 1, end):  # more words fit still less
                begin -= 1
                ways.append((best[begin][0] + self.cost(begin, end), begin))
            best.append(min(ways))
        found = []
        end = len(self.words)
        while end:
            begin = best[end][1]
            found.append((begin, end))
            end = begin
        return found[::-1]

    def fits(self, begin: int, end: int) -> bool:
        """Whether `words[begin:end]` may be one cue."""
        short = self.words[end - 1].end - self.starts[begin] <= MOST_S
        return short and end <= self.reach[self.reach[begin]]

    def cost(self, begin: int, end: int) -> float:
        """Of `words[begin:end]` as a cue, with the cut behind it."""
        cost = _COST_OF_A_CUE
        last = self.words[end - 1].end
        if end < len(self.words):
            pause = max(0.0, self.starts[end] - last)
            cost += _COST_OF_CUTTING * (1 - pause / PAUSE_S)
        lacking = self.reading_s(begin, end) - (max(self.starts[end], last) - self.starts[begin])
        return cost + _COST_OF_A_HURRIED_SECOND * max(0.0, lacking)

    def reading_s(self, begin: int, end: int) -> Seconds:
        """How long `words[begin:end]` should be seen."""
        return max(LEAST_S, self.characters(begin, end) / READ_PER_S)

    def cue(self, begin: int, end: int) -> Cue:
        """`words[begin:end]`, shown long enough to be read unless the next words come."""
        start, last = self.starts[begin], self.words[end - 1].end
        stop = max(last, min(start + self.reading_s(begin, end), self.starts[end]))
        if end <= self.reach[begin]:
            return Cue(start, stop, (self.text(begin, end),))
        # Neither line longer than need be: the eye travels least.
        folds = [at for at in range(begin + 1, self.reach[begin] + 1) if end <= self.reach[at]]
        at = min(folds, key=lambda at: max(self.characters(begin, at), self.characters(at, end)))
        return Cue(start, stop, (self.text(begin, at), self.text(at, end)))
