"""The result of a job in JSON, exact: what is made of it later is what a request would have had."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from asr.transcript import Alternative, Segment, Transcript, Word


@dataclass(frozen=True)
class Outcome:
    """What came of a job."""

    transcripts: tuple[Transcript, ...]
    """One, or one for each channel."""
    timings: dict[str, float]
    """Seconds that each stage took."""

    @property
    def transcript(self) -> Transcript:
        """What was said in all channels, in order of time."""
        return Transcript.together(self.transcripts)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of all channels, in order of time."""
        return self.transcript.segments


def packed(transcripts: tuple[Transcript, ...], timings: dict[str, float]) -> str:
    """An outcome as text."""
    return json.dumps({"transcripts": [asdict(one) for one in transcripts], "timings": timings})


def unpacked(text: str) -> Outcome:
    """The outcome that `packed` wrote."""
    values = json.loads(text)
    return Outcome(tuple(map(_transcript, values["transcripts"])), values["timings"])


def shown(segments: Iterable[Segment]) -> list[str]:
    """Segments, each as text."""
    return [json.dumps(asdict(segment)) for segment in segments]


def seen(text: str) -> Segment:
    """The segment that `shown` wrote."""
    values = json.loads(text)
    return Segment(**{**values, "words": tuple(Word(**word) for word in values["words"])})


def _transcript(values: dict[str, Any]) -> Transcript:
    kinds = {"words": Word, "unsaid": Word, "alternatives": Alternative}
    items = {name: tuple(kind(**item) for item in values[name]) for name, kind in kinds.items()}
    return Transcript(**{**values, **items})
