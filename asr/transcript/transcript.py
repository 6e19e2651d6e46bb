"""Transcripts: the words of a recording, with timestamps and confidence."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any

from asr.counting import counted
from asr.files import as_path, write_atomically
from asr.scripts import joined
from asr.transcript.layout import Layout
from asr.transcript.segments import Seconds, Segment, Word, segments, text_of


@dataclass(frozen=True)
class Alternative:
    """One hypothesis for a recording; a higher `score` is more probable.

    The score adds up natural logarithms with the search's weights. With `prior_weight` it may be
    above 0, so only differences between scores of one recording say something.
    """

    text: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the score to four digits."""
        return {"text": self.text, "score": round(self.score, 4)}


@dataclass(frozen=True, repr=False)
class Transcript:
    """The transcript of one recording, or of `duration` seconds of it from `start` on.

    `text` is one line, the words in order as they are written. Of channels that were split it has
    one turn after another, while `words` are in order of time. If nothing was said, `no_speech` is
    true and `text` and `words` are empty. `alternatives` has the best hypotheses in plain words,
    the best first, if more than one was requested. `unsaid` are the words of an aligned text that
    were not found, each at the time where they would have been, with confidence 0.
    """

    text: str
    words: tuple[Word, ...]
    confidence: float
    duration: Seconds
    no_speech: bool
    alternatives: tuple[Alternative, ...] = ()
    start: Seconds = 0.0
    unsaid: tuple[Word, ...] = ()

    @property
    def end(self) -> Seconds:
        """Where the recording ends, or what was read of it."""
        return self.start + self.duration

    @property
    def plain(self) -> str:
        """The plain words, with spaces between them."""
        return joined(word.text for word in self.by_turns)

    @property
    def by_turns(self) -> tuple[Word, ...]:
        """The words in the order of the text."""
        return tuple(word for segment in self.segments for word in segment.words)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Sentences, where marks are known, and the words between pauses of 0.8 s, in the order of
        their starts."""
        return segments(self.words)

    @classmethod
    def together(cls, channels: "Sequence[Transcript]", start: Seconds = 0.0) -> "Transcript":
        """One transcript of a recording from those of its channels, in order of time.

        Args:
            channels: at least one; if there are several, words name theirs, counted from 1, and
                there are no alternatives.
            start: seconds of the recording that were skipped before.
        """
        if len(channels) == 1 and not start:
            return channels[0]
        several = len(channels) > 1
        words = [
            replace(word.later(start), channel=number if several else word.channel)
            for number, transcript in enumerate(channels, start=1)
            for word in transcript.words
        ]
        turns = [word for segment in segments(words) for word in segment.words]
        return replace(
            cls.of(turns, max(transcript.duration for transcript in channels)),
            words=tuple(sorted(words, key=lambda word: word.start)),
            alternatives=() if several else channels[0].alternatives,
            start=start,
            unsaid=tuple(word.later(start) for word in channels[0].unsaid),
        )

    @classmethod
    def of(cls, words: Sequence[Word], duration: Seconds) -> "Transcript":
        """The transcript of a recording of that length in which these words were said.

        Its confidence is the mean of theirs, which is the expected share of right ones.
        """
        return cls(
            text=text_of(words),
            words=tuple(words),
            confidence=fmean(word.confidence for word in words) if words else 0.0,
            duration=duration,
            no_speech=not words,
        )

    def with_words(self, words: Sequence[Word]) -> "Transcript":
        """The same with other words, and their text."""
        return replace(self, text=text_of(words), words=tuple(words))

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 60 else f"{self.text[:59]}…"
        return f"Transcript({text!r}, {counted(len(self.words), 'word')}, {self.duration:.2f} s)"

    def to_srt(self, layout: Layout = Layout()) -> str:
        """The content of a subtitle file in SubRip format."""
        from asr.transcript.writers import write  # which knows this class

        return write(self, "srt", layout=layout)

    def to_vtt(self, layout: Layout = Layout()) -> str:
        """The content of a subtitle file in WebVTT format."""
        from asr.transcript.writers import write

        return write(self, "vtt", layout=layout)

    def save(self, path: str | os.PathLike[str], layout: Layout = Layout()) -> None:
        """Writes a file in the format that its suffix names: one of `asr.transcript.FORMATS`.

        Its folders are made, as every command makes those of what it writes, and a file that is
        there is replaced when the new one is whole.

        Raises:
            BadOption: the suffix names no format, the file cannot be written, or an option of
                `layout` has no effect on the format.
        """
        from asr.transcript.writers import check_layout, write

        place = as_path(path, "the file to write")
        format = place.suffix.lower().removeprefix(".")
        content = write(self, format, place.stem, layout)
        check_layout(layout, (format,))
        write_atomically(place, content)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys and their order are part of the public contract.

        `alternatives` and `unsaid` are left out if they are empty, and `start` if it is 0.
        """
        values = {
            "text": self.text,
            "words": [word.to_dict() for word in self.words],
            "confidence": round(self.confidence, 4),
            "duration": round(self.duration, 3),
            "no_speech": self.no_speech,
            "segments": [segment.to_dict() for segment in self.segments],
        }
        if self.alternatives:
            values["alternatives"] = [alternative.to_dict() for alternative in self.alternatives]
        if self.start:
            values["start"] = round(self.start, 3)
        if self.unsaid:
            values["unsaid"] = [word.to_dict() for word in self.unsaid]
        return values
