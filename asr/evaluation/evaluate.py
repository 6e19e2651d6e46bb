"""A recogniser on a manifest: what it heard in each clip, error rates and speed."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.audio import Audio, load
from asr.corpus import Utterance, check_files, check_lines, explain, read_manifest
from asr.errors import BadData, BadOption
from asr.evaluation.english import english
from asr.evaluation.score import Score, score
from asr.runtime import Recognizer
from asr.text import normalise

NORMALISERS: dict[str, Callable[[str], str]] = {"plain": normalise, "english": english}
"""How texts are made comparable; plain is the normal form of training and output."""
TRAITS = ("corpus", "accent", "gender", "age")
"""What else than the speaker a manifest may say of a clip."""

_GROUP = 128  # clips handed over together: enough to batch by length
_GROUP_SECONDS = 1200.0  # and little enough for memory, where they are long
_FRAME = 400  # samples, 25 ms
_QUIETEST = 1e-10  # power of the level -100 dBFS, given to silence


@dataclass(frozen=True)
class Clip:
    """One utterance as it was heard, and what is known of it."""

    id: str
    text: str
    """As the manifest has it."""
    heard: str
    """As the recogniser wrote it."""
    duration: float
    """Seconds."""
    level: float
    """Power of the louder half of its 25 ms frames, in dBFS: that of the speech, not the pauses."""
    confidence: float
    speaker: str | None = None
    traits: dict[str, str] = field(default_factory=dict)
    """Those of `TRAITS` that the manifest states."""


@dataclass(frozen=True)
class Evaluation:
    """What a recogniser did on a manifest."""

    score: Score
    clips: tuple[Clip, ...]
    """In the order of the manifest and of `score.utterances`."""
    normaliser: str
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
    normaliser: str = "plain",
    **options: Any,
) -> Evaluation:
    """Transcribe every line of a manifest and compare with its text; no line is left out.

    Raises:
        BadData: a line cannot be scored; the message names every such line.
        BadAudio: a recording cannot be read.
        BadOption: the normaliser or another option is unknown.
    """
    normaliser_named(normaliser)
    utterances, findings = read_manifest(manifest)
    findings += [*check_lines(utterances), *check_files(utterances)]
    if findings or not utterances:
        listed = explain(manifest, findings, most=20) if findings else f"{manifest}: no lines"
        raise BadData(f"{manifest} cannot be evaluated on; mend these lines.\n{listed}")
    lines = json_lines(manifest)
    clips: list[Clip] = []
    began = time.perf_counter()
    for group in _groups(utterances):
        transcripts = recognizer.transcribe([audio for _, audio in group], **options)
        for (utterance, audio), transcript in zip(group, transcripts, strict=True):
            values = lines[utterance.line]
            clips.append(
                Clip(
                    id=utterance.id,
                    text=values["text"],
                    heard=transcript.text,
                    duration=audio.duration,
                    level=level(audio.samples),
                    confidence=transcript.confidence,
                    speaker=None if utterance.speaker is None else str(utterance.speaker),
                    traits={key: str(values[key]) for key in TRAITS if values.get(key)},
                )
            )
        if progress is not None:
            progress(len(clips), len(utterances))
    return Evaluation(
        score=score_clips(clips, [clip.heard for clip in clips], normaliser),
        clips=tuple(clips),
        normaliser=normaliser,
        audio_seconds=sum(clip.duration for clip in clips),
        wall_seconds=time.perf_counter() - began,
    )


def score_clips(clips: Sequence[Clip], heard: Sequence[str], normaliser: str) -> Score:
    """The score of what was heard in the clips, by one normaliser on both sides."""
    normal = normaliser_named(normaliser)
    return score(
        [clip.id for clip in clips],
        [normal(clip.text) for clip in clips],
        [normal(text) for text in heard],
    )


def normaliser_named(name: str) -> Callable[[str], str]:
    """The normaliser of that name; raises BadOption where there is none."""
    if name not in NORMALISERS:
        raise BadOption(f"normaliser {name!r} is not known; choose from {', '.join(NORMALISERS)}.")
    return NORMALISERS[name]


def json_lines(manifest: Path) -> dict[int, dict[str, Any]]:
    """The objects of a manifest that `read_manifest` has read, by line number."""
    with manifest.open(encoding="utf-8") as file:
        lines = {number: line for number, line in enumerate(file, start=1) if line.strip()}
    return {number: json.loads(line) for number, line in lines.items()}


def level(samples: npt.NDArray[np.float32]) -> float:
    """Power of the louder half of the 25 ms frames, in dB of full scale; -100 for silence."""
    frames = max(1, len(samples) // _FRAME)
    parts = np.array_split(np.square(samples, dtype=np.float64), frames)
    powers = np.sort([part.sum() / max(1, len(part)) for part in parts])
    return float(10 * np.log10(max(powers[frames // 2 :].mean(), _QUIETEST)))


def _groups(utterances: Sequence[Utterance]) -> Iterator[list[tuple[Utterance, Audio]]]:
    """The utterances with their audio, as many together as memory bears."""
    group: list[tuple[Utterance, Audio]] = []
    held = 0.0
    for utterance in utterances:
        group.append((utterance, load(utterance.audio)))
        held += group[-1][1].duration
        if len(group) == _GROUP or held >= _GROUP_SECONDS:
            yield group
            group, held = [], 0.0
    if group:
        yield group
