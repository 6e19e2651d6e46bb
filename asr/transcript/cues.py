"""Subtitles: the times and lines of each cue.

The rules are those of broadcasters (BBC subtitle guidelines; Netflix timed text style guide): at
most two lines of 42 characters, whole words, cuts where the speaker pauses, and enough time to
read. Of all cuts that keep the hard rules the one with the lowest cost is chosen, by dynamic
programming as in Knuth and Plass, "Breaking paragraphs into lines" (1981).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from asr.transcript.transcript import Seconds, Word

PAUSE_S = 0.8
"""A pause of this length usually ends a sentence, so it always ends a cue."""
LINE_CHARACTERS = 42
"""The longest line; a cue has at most two. A longer word has a line of its own."""
MOST_S = 7.0
"""Longest cue; a single word may take longer."""
LEAST_S = 1.0
"""Shortest cue, if the next one leaves the time."""
READ_PER_S = 17.0
"""Characters that people read per second."""

_COST_OF_CUTTING = 1.0  # of a cut without a pause; nothing at a pause of PAUSE_S
_COST_OF_A_CUE = 0.3
_COST_OF_A_HURRIED_SECOND = 2.0  # of each second of reading time that a cue lacks


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
    """The subtitles of a recording of `duration` seconds; `words` are in order of time."""
    result: list[Cue] = []
    first = 0
    for spoken in between_pauses(words):
        first += len(spoken)
        until = words[first].start if first < len(words) else max(duration, words[-1].end)
        span = _Span(spoken, until)
        result.extend(span.cue(begin, end) for begin, end in span.cut())
    return result


class _Span:
    """Words without a long pause between them, measured once for all possible cuts."""

    def __init__(self, words: Sequence[Word], until: Seconds) -> None:
        self.words = words
        self.starts = [*(word.start for word in words), until]
        self.marks = [0, *accumulate(len(word.text) + 1 for word in words)]
        self.reach: list[int] = []  # the end of a line that begins with each word
        end = 0
        for begin in range(len(words)):
            end = max(end, begin + 1)  # a word longer than a line has its own
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
        """The cheapest division of the words into cues: first word and end of each."""
        best: list[tuple[float, int]] = [(0.0, 0)]  # by words: cost, first of the last cue
        for end in range(1, len(self.words) + 1):
            first = end - 1
            ways = [(best[first][0] + self.cost(first, end), first)]
            while first > 0 and self.fits(first - 1, end):  # more words do not fit either
                first -= 1
                ways.append((best[first][0] + self.cost(first, end), first))
            best.append(min(ways))
        pieces = []
        end = len(self.words)
        while end:
            first = best[end][1]
            pieces.append((first, end))
            end = first
        return pieces[::-1]

    def fits(self, begin: int, end: int) -> bool:
        """Whether `words[begin:end]` may be one cue."""
        short = self.words[end - 1].end - self.starts[begin] <= MOST_S
        return short and end <= self.reach[self.reach[begin]]

    def cost(self, begin: int, end: int) -> float:
        """The cost of `words[begin:end]` as a cue, with the cut after it."""
        cost = _COST_OF_A_CUE
        last = self.words[end - 1].end
        if end < len(self.words):
            pause = max(0.0, self.starts[end] - last)
            cost += _COST_OF_CUTTING * (1 - pause / PAUSE_S)
        lacking = self.reading_s(begin, end) - (max(self.starts[end], last) - self.starts[begin])
        return cost + _COST_OF_A_HURRIED_SECOND * max(0.0, lacking)

    def reading_s(self, begin: int, end: int) -> Seconds:
        """How long `words[begin:end]` should be shown."""
        return max(LEAST_S, self.characters(begin, end) / READ_PER_S)

    def cue(self, begin: int, end: int) -> Cue:
        """`words[begin:end]` as a cue, shown long enough to be read unless the next words start."""
        start, last = self.starts[begin], self.words[end - 1].end
        stop = max(last, min(start + self.reading_s(begin, end), self.starts[end]))
        if end <= self.reach[begin]:
            return Cue(start, stop, (self.text(begin, end),))
        # Lines of similar length are the easiest to read.
        folds = [at for at in range(begin + 1, self.reach[begin] + 1) if end <= self.reach[at]]
        at = min(folds, key=lambda at: max(self.characters(begin, at), self.characters(at, end)))
        return Cue(start, stop, (self.text(begin, at), self.text(at, end)))
