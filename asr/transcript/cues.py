"""Subtitles: the times and lines of each cue.

The rules are those of broadcasters (BBC subtitle guidelines; Netflix timed text style guide): at
most two lines of 42 characters unless told, whole words, cuts where the speaker pauses, enough time
to read, and no gap so short that the picture flickers. Of all cuts that keep the hard rules the one
with the lowest cost is chosen, by dynamic programming as in Knuth and Plass, "Breaking paragraphs
into lines" (1981).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from asr.scripts import is_unspaced, joined
from asr.transcript.layout import Layout
from asr.transcript.segments import (
    PAUSE_S,
    Seconds,
    Word,
    between_pauses,
    displayed,
    segments,
)

MOST_S = 7.0
"""Longest cue; a single word may take longer."""
LEAST_S = 1.0
"""Shortest cue, if the next one leaves the time."""
READ_PER_S = 17.0
"""Characters that people read per second."""
FLICKER_S = 0.083
"""A shorter gap between two cues is closed: two frames of a film."""

_COST_OF_CUTTING = 1.0  # of a cut without a pause; nothing at a pause of PAUSE_S
_SHARE_BY_MARK = {".": 0.0, "?": 0.0, "!": 0.0, ":": 0.2, ";": 0.2, ",": 0.4, "\u2014": 0.4}
"""Of the cost of cutting or breaking, behind a word with this mark: a cue or a line ends with a
sentence if it can, else with a clause, else a cue where the speaker pauses."""
_COST_OF_BREAKING = 0.15  # of a line without a mark at its end, beside the squares of their lengths
_COST_OF_A_CUE = 0.3
_COST_OF_A_HURRIED_SECOND = 2.0  # of each second of reading time that a cue lacks


_Way: TypeAlias = tuple[float, tuple[tuple[int, int], ...]]
"""A cost, and the first word and end of each line."""


@dataclass(frozen=True)
class Cue:
    """A subtitle, shown from `start` to `end`; those of one channel never overlap."""

    start: Seconds
    end: Seconds
    rows: tuple[tuple[Word, ...], ...]
    """The words of each line."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The text of each line."""
        return tuple(joined(word.text for word in row) for row in self.rows)

    @property
    def channel(self) -> int | None:
        """The channel of its words."""
        return self.rows[0][0].channel


def cues(words: Sequence[Word], end: Seconds, layout: Layout = Layout()) -> list[Cue]:
    """The subtitles of a recording, in order of time.

    Args:
        words: in order of time, in each channel.
        end: of the recording.
    """
    spoken = segments(words, between_pauses)
    starts = [segment.start for segment in spoken]
    result: list[Cue] = []
    for segment in spoken:
        following = bisect_left(starts, segment.end)
        until = starts[following] if following < len(starts) else max(end, segment.end)
        span = _Span(displayed(segment.words), until, layout)
        result.extend(span.cue(*piece) for piece in span.cut())
    return sorted(result, key=lambda cue: cue.start)


def _share(word: Word) -> float:
    """How much of a cost the mark behind a word leaves, if it is known."""
    return 1.0 if word.written is None else _SHARE_BY_MARK.get(word.text[-1:], 1.0)


class _Span:
    """Words without a long pause between them, measured once for all possible cuts."""

    def __init__(self, words: Sequence[Word], until: Seconds, layout: Layout) -> None:
        self.words = words
        self.width, self.count = layout.max_line_width, layout.max_line_count
        self.starts = [*(word.start for word in words), until]
        self.spaces = [not is_unspaced(word.text) for word in words]
        lengths = (len(word.text) + space for word, space in zip(words, self.spaces, strict=True))
        self.marks = [0, *accumulate(lengths)]
        self.reach: list[int] = []
        """The furthest end of a line that begins with each word."""
        end = 0
        for begin in range(len(words)):
            end = max(end, begin + 1)  # a word longer than a line has its own
            while end < len(words) and self.characters(begin, end + 1) <= self.width:
                end += 1
            self.reach.append(end)
        self.reach.append(len(words))
        self.cue_reach = list(range(len(words) + 1))
        """That of a cue."""
        for _ in range(self.count):
            self.cue_reach = [self.reach[end] for end in self.cue_reach]

    def characters(self, begin: int, end: int) -> int:
        """Length of `words[begin:end]` as a text."""
        return self.marks[end] - self.marks[begin] - self.spaces[end - 1]

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
        return short and end <= self.cue_reach[begin]

    def cost(self, begin: int, end: int) -> float:
        """The cost of `words[begin:end]` as a cue, with the cut after it."""
        cost = _COST_OF_A_CUE
        last = self.words[end - 1].end
        if end < len(self.words):
            pause = max(0.0, self.starts[end] - last)
            cost += _COST_OF_CUTTING * _share(self.words[end - 1]) * (1 - pause / PAUSE_S)
        lacking = self.reading_s(begin, end) - (max(self.starts[end], last) - self.starts[begin])
        return cost + _COST_OF_A_HURRIED_SECOND * max(0.0, lacking)

    def reading_s(self, begin: int, end: int) -> Seconds:
        """How long `words[begin:end]` should be shown."""
        return max(LEAST_S, self.characters(begin, end) / READ_PER_S)

    def cue(self, begin: int, end: int) -> Cue:
        """`words[begin:end]` as a cue, shown long enough to be read unless the next words start."""
        start, last, following = self.starts[begin], self.words[end - 1].end, self.starts[end]
        stop = max(last, min(start + self.reading_s(begin, end), following))
        if stop < following < stop + FLICKER_S:
            stop = following
        rows = tuple(tuple(self.words[a:b]) for a, b in self.lines(begin, end))
        return Cue(start, stop, rows)

    def lines(self, begin: int, end: int) -> Sequence[tuple[int, int]]:
        """The lines of `words[begin:end]`, as few as can be: alike in length, as these are the
        easiest to read, but rather with a mark at the end."""
        ways: dict[int, _Way] = {begin: (0.0, ())}
        while end not in ways:
            longer: dict[int, _Way] = {}
            for first, (cost, before) in ways.items():
                for stop in range(first + 1, min(self.reach[first], end) + 1):
                    way = cost + self.line_cost(first, stop, end), (*before, (first, stop))
                    longer[stop] = min(way, longer.get(stop, way))
            ways = longer
        return ways[end][1]

    def line_cost(self, begin: int, stop: int, end: int) -> float:
        """The cost of `words[begin:stop]` as a line of a cue that ends before word `end`."""
        full = self.characters(begin, stop) / self.width
        if stop == end:
            return full * full
        return full * full + _COST_OF_BREAKING * _share(self.words[stop - 1])
