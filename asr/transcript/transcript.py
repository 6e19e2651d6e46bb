"""Transcripts: the words of a recording, with timestamps and confidence."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from asr.files import write_atomically

Seconds: TypeAlias = float


@dataclass(frozen=True)
class Word:
    """One word; `start` and `end` are seconds of the recording, `confidence` is in [0, 1]."""

    text: str
    start: Seconds
    end: Seconds
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: times to the millisecond, confidence to four digits."""
        return {
            "text": self.text,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "confidence": round(self.confidence, 4),
        }


@dataclass(frozen=True)
class Alternative:
    """One hypothesis for a recording; `score` is a natural logarithm, higher is more probable."""

    text: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the score to four digits."""
        return {"text": self.text, "score": round(self.score, 4)}


@dataclass(frozen=True, repr=False)
class Transcript:
    """The transcript of one recording of `duration` seconds.

    `text` is one line, the words in order. If nothing was said, `no_speech` is true and `text` and
    `words` are empty. `alternatives` has the best hypotheses, the best first and `text` among them,
    if more than one was requested.
    """

    text: str
    words: tuple[Word, ...]
    confidence: float
    duration: Seconds
    no_speech: bool
    alternatives: tuple[Alternative, ...] = ()

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 60 else f"{self.text[:59]}…"
        return f"Transcript({text!r}, {len(self.words)} words, {self.duration:.2f} s)"

    def to_srt(self) -> str:
        """The content of a subtitle file in SubRip format."""
        from asr.transcript.writers import write  # which knows this class

        return write(self, "srt")

    def to_vtt(self) -> str:
        """The content of a subtitle file in WebVTT format."""
        from asr.transcript.writers import write

        return write(self, "vtt")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a file in the format that its suffix names: txt, json, srt, vtt, tsv or ctm.

        Raises:
            BadOption: the suffix names no format, or the file cannot be written.
        """
        from asr.transcript.writers import write

        path = Path(path)
        write_atomically(path, write(self, path.suffix.lower().removeprefix("."), path.stem))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys and their order are part of the public contract.

        `alternatives` is left out if it is empty.
        """
        values = {
            "text": self.text,
            "words": [word.to_dict() for word in self.words],
            "confidence": round(self.confidence, 4),
            "duration": round(self.duration, 3),
            "no_speech": self.no_speech,
        }
        if self.alternatives:
            values["alternatives"] = [alternative.to_dict() for alternative in self.alternatives]
        return values
