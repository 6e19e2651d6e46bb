"""Calibration: parameters fitted to a model's decoded words on development speech."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asr.decoding.confidence import Logistic
from asr.decoding.words import DecodedWord, stretch_features, stretches
from asr.errors import BadData

PAUSE_SECONDS = 1.0
"""Shortest silence between two stretches of speech."""
_WORD_FEATURES, _STRETCH_FEATURES = 4, 4
_EARLIER_STRETCH_FEATURES = 3
"""Version 0.1 knew nothing of posteriors there."""
_LONGEST_OFFSET = 0.5  # seconds
_GAP_SECONDS = 0.2
_MEETING = 0.25
"""Share of a shorter gap that belongs to the word before it.

Measured on espeak-ng's speech (`benchmarks/boundaries.py`): starts came 37 ms late on the median
and ends 13 ms early; after a pause starts were not late."""


def times(
    runs: Sequence[tuple[int, int]], frame_seconds: float, duration: float, end_offset: float = 0.0
) -> list[tuple[float, float]]:
    """Start and end of words in seconds: in order, without overlap, inside the recording.

    Adjacent words meet in the gap of frames between them, in which CTC spells a space or nothing.
    A word before a pause ends `end_offset` after its last frame.

    Args:
        runs: frames `[start, end)` of each word, in order.
        duration: seconds of the recording; no run starts after it.
    """
    # 7 * 0.04 is 0.28, not 0.28000000000000003.
    bounds = [(round(a * frame_seconds, 6), round(b * frame_seconds, 6)) for a, b in runs]
    for index, (start, end) in enumerate(bounds):
        if index + 1 < len(bounds) and bounds[index + 1][0] - end < _GAP_SECONDS:
            following, its_end = bounds[index + 1]
            end = round(end + _MEETING * (following - end), 6)
            bounds[index + 1] = (end, its_end)
        else:
            latest = bounds[index + 1][0] if index + 1 < len(bounds) else duration
            end = min(max(end + end_offset, (start + end) / 2), latest)
        bounds[index] = (start, min(end, duration))
    return bounds


@dataclass(frozen=True)
class Calibration:
    """How the words of one decoder become those of a transcript."""

    confidence: Logistic | None = None
    """Probability that a word is right, given `DecodedWord.features`."""
    speech: Logistic | None = None
    """Probability that a stretch of words is speech, given `stretch_features`; kept from 0.5."""
    end_offset: float = 0.0
    """Seconds from the last frame of a word before a pause to its end."""

    def of_word(self, word: DecodedWord) -> float:
        """The word's confidence; without a fit, the posterior of its least probable unit."""
        return word.posterior if self.confidence is None else self.confidence(word.features())

    def spoken(self, words: Sequence[DecodedWord], frame_seconds: float) -> list[DecodedWord]:
        """The words in stretches that are speech."""
        if self.speech is None:
            return list(words)
        runs = stretches(words, PAUSE_SECONDS / frame_seconds)
        return [word for run in runs if self.speech(stretch_features(run)) >= 0.5 for word in run]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Calibration":
        """The calibration that `to_dict` returned.

        Raises:
            BadData: the values are no calibration.
        """
        try:
            calibration = cls(
                confidence=_logistic(values.get("confidence"), _WORD_FEATURES),
                speech=_stretches(values.get("speech")),
                end_offset=float(values.get("end_offset", 0.0)),
            )
            if unknown := values.keys() - {"confidence", "speech", "end_offset"}:
                raise ValueError(f"unknown {', '.join(sorted(unknown))}")
            if not abs(calibration.end_offset) <= _LONGEST_OFFSET:
                raise ValueError(f"end_offset {calibration.end_offset}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadData(f"the calibration cannot be read ({error}).") from error
        return calibration


def _stretches(values: Mapping[str, Any] | None) -> Logistic | None:
    if values is not None and len(values["weights"]) == _EARLIER_STRETCH_FEATURES:
        values = {**values, "weights": [*values["weights"], 0.0]}
    return _logistic(values, _STRETCH_FEATURES)


def _logistic(values: Mapping[str, Any] | None, features: int) -> Logistic | None:
    if values is None:
        return None
    numbers = [float(number) for number in (*values["weights"], values["bias"])]
    if len(numbers) != features + 1 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"weights {values['weights']!r}")
    return Logistic(tuple(numbers[:-1]), numbers[-1])
