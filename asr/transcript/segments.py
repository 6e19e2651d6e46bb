"""Words, and the segments that pauses cut them into."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, TypeAlias

from asr.scripts import joined

Seconds: TypeAlias = float

_SENTENCE_ENDS = (".", "?", "!")
PAUSE_S = 0.8
"""A pause of this length usually ends a sentence, so it always ends a segment and a subtitle."""


@dataclass(frozen=True)
class Word:
    """One word; `start` and `end` are seconds of the recording, `confidence` is in [0, 1]."""

    text: str
    start: Seconds
    end: Seconds
    confidence: float
    channel: int | None = None
    """The channel in which it was said, from 1; None if channels were mixed or there is one."""
    written: str | None = None
    """How people write it, with the mark behind it; empty if it is part of the number that a word
    before it begins. None where only the plain word is known."""
    ends_paragraph: bool = False
    """Whether, by its text, a paragraph ends behind it."""

    def later(self, seconds: Seconds) -> "Word":
        """The same word in a recording that starts so many seconds earlier."""
        return replace(self, start=self.start + seconds, end=self.end + seconds)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: times to the millisecond, confidence to four digits.

        `written` and `channel` are left out if they are None.
        """
        return {
            "text": self.text,
            **({} if self.written is None else {"written": self.written}),
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "confidence": round(self.confidence, 4),
            **_channel(self.channel),
        }


@dataclass(frozen=True)
class Segment:
    """A sentence, or what is said in one channel between two pauses: at least one word, in order of
    time."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words as they are written, with spaces between them."""
        return text_of(self.words)

    @property
    def plain(self) -> str:
        """The plain words, with spaces between them."""
        return joined(word.text for word in self.words)

    @property
    def start(self) -> Seconds:
        """Start of the first word."""
        return self.words[0].start

    @property
    def end(self) -> Seconds:
        """End of the last word."""
        return self.words[-1].end

    @property
    def ends_sentence(self) -> bool:
        """Whether a mark behind its last word ends a sentence."""
        return _ends_sentence(self.words)

    @property
    def confidence(self) -> float:
        """The mean over the words: the expected share of right ones."""
        return fmean(word.confidence for word in self.words)

    @property
    def channel(self) -> int | None:
        """The channel of its words."""
        return self.words[0].channel

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, rounded as words are; `channel` is left out if it is None."""
        return {
            "text": self.text,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "confidence": round(self.confidence, 4),
            **_channel(self.channel),
            "words": [word.to_dict() for word in self.words],
        }


def between_pauses(words: Iterable[Word], pause: Seconds = PAUSE_S) -> Iterator[Segment]:
    """The words of one channel between one pause of that length and the next.

    A segment is given as soon as the word after it is known.
    """
    return _cut(words, lambda held, following: following.start - held[-1].end >= pause)


def sentences(words: Iterable[Word]) -> Iterator[Segment]:
    """The same, cut also behind the words that end a sentence, where marks are known."""
    return _cut(
        words,
        lambda held, following: following.start - held[-1].end >= PAUSE_S or _ends_sentence(held),
    )


def _ends_sentence(words: Sequence[Word]) -> bool:
    """Whether the last word, or the number that it is part of, has a mark that ends a sentence."""
    written = next((word.written for word in reversed(words) if word.written != ""), None)
    return written is not None and written.endswith(_SENTENCE_ENDS)


def _cut(words: Iterable[Word], ends: Callable[[list[Word], Word], bool]) -> Iterator[Segment]:
    held: list[Word] = []
    for word in words:
        # Times that are moved or rounded may bring the pause within a number just above the bound.
        if held and word.written != "" and ends(held, word):
            yield Segment(tuple(held))
            held = []
        held.append(word)
    if held:
        yield Segment(tuple(held))


def segments(
    words: Sequence[Word], cut: Callable[[Iterable[Word]], Iterator[Segment]] = sentences
) -> tuple[Segment, ...]:
    """The segments of all channels, in the order of their starts.

    Args:
        cut: how the words of a channel are cut.
    """
    channels: dict[int | None, list[Word]] = {}
    for word in words:
        channels.setdefault(word.channel, []).append(word)
    found = [segment for channel in channels.values() for segment in cut(channel)]
    if len(channels) < 2:
        return tuple(found)
    return tuple(sorted(found, key=lambda segment: (segment.start, segment.channel or 0)))


def displayed(words: Sequence[Word]) -> tuple[Word, ...]:
    """The words as they are written: their `text` is, and the words of a number are one."""
    shown: list[Word] = []
    for word in words:
        if word.written is None:
            shown.append(word)
        elif word.written or not shown:
            shown.append(replace(word, text=word.written or word.text))
        else:  # part of a number
            number = shown[-1]
            sure = min(number.confidence, word.confidence)
            shown[-1] = replace(number, end=word.end, confidence=sure)
    return tuple(shown)


def text_of(words: Sequence[Word]) -> str:
    """The words as they are written, with spaces between them."""
    return joined(word.text for word in displayed(words))


def _channel(channel: int | None) -> dict[str, int]:
    return {} if channel is None else {"channel": channel}
