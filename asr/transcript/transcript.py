"""What a user gets: the words of a recording, when each was said, and how sure the model is."""

from dataclasses import dataclass
from typing import Any, TypeAlias

Seconds: TypeAlias = float


@dataclass(frozen=True)
class Word:
    """One word; `start` and `end` count from the recording's begin, `confidence` is in [0, 1]."""

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
    """One reading of a recording; `score` is a natural logarithm, the higher the likelier."""

    text: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the score to four digits."""
        return {"text": self.text, "score": round(self.score, 4)}


@dataclass(frozen=True)
class Transcript:
    """What was said in one recording of `duration` seconds.

    `text` is one line, the words in order; `no_speech` is true where nothing was said, and then
    `text` is empty and `words` has none. `alternatives` has the best readings, the best first and
    `text` among them, where more than one was asked for.
    """

    text: str
    words: tuple[Word, ...]
    confidence: float
    duration: Seconds
    no_speech: bool
    alternatives: tuple[Alternative, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, in the order users read it: the keys are part of the public contract.

        `alternatives` is there only where it has something to say.
        """
        found = {
            "text": self.text,
            "words": [word.to_dict() for word in self.words],
            "confidence": round(self.confidence, 4),
            "duration": round(self.duration, 3),
            "no_speech": self.no_speech,
        }
        if self.alternatives:
            found["alternatives"] = [one.to_dict() for one in self.alternatives]
        return found
