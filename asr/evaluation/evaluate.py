"""A recogniser on a manifest: error rates and speed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.corpus import check_lines, explain, read_manifest
from asr.errors import BadData
from asr.evaluation.score import Score, score
from asr.runtime import Recognizer
from asr.text import normalise

_GROUP = 128  # clips handed over together: enough to batch by length, little enough for memory


@dataclass(frozen=True)
class Evaluation:
    """What a recogniser did on a manifest."""

    score: Score
    audio_seconds: float
    wall_seconds: float
    """From the first file opened to the last word, decoding of audio included."""

    @property
    def realtime_factor(self) -> float:
        """Seconds of audio per second of wall time."""
        return self.audio_seconds / self.wall_seconds


def evaluate(
    recognizer: Recognizer,
    manifest: Path,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Evaluation:
    """Transcribe every line of a manifest and compare with its text; no line is left out.

    Raises:
        BadData: a line cannot be scored; the message names every such line.
        BadAudio: a recording cannot be read.
    """
    utterances, findings = read_manifest(manifest)
    findings += check_lines(utterances)
    if findings or not utterances:
        listed = explain(manifest, findings, most=20) if findings else f"{manifest}: no lines"
        raise BadData(f"{manifest} cannot be evaluated on; mend these lines.\n{listed}")
    hypotheses: list[str] = []
    audio_seconds = 0.0
    began = time.perf_counter()
    for first in range(0, len(utterances), _GROUP):
        group = utterances[first : first + _GROUP]
        for transcript in recognizer.transcribe([u.audio for u in group], **options):
            hypotheses.append(normalise(transcript.text))
            audio_seconds += transcript.duration
        if progress is not None:
            progress(len(hypotheses), len(utterances))
    return Evaluation(
        score=score([u.id for u in utterances], [u.text for u in utterances], hypotheses),
        audio_seconds=audio_seconds,
        wall_seconds=time.perf_counter() - began,
    )
