"""A recogniser on a manifest: the text of each clip, error rates and speed."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.audio import Audio
from asr.corpus import Finding, Unread, Utterance, read_checked, read_lines, refuse_unread
from asr.errors import BadData, BadOption
from asr.evaluation.score import Score, score
from asr.runtime import Recognizer
from asr.text import DEFAULT_LANGUAGE, PLAIN, Normaliser, normaliser
from asr.text.english import english

NORMALISERS = (PLAIN, "english")
"""How texts are normalised for comparison; `plain` is the normal form of training and output."""
TRAITS = ("corpus", "accent", "gender", "age")
"""Properties of a clip that a manifest may have besides the speaker."""

_GROUP = 128  # clips transcribed together: enough to batch by length
_GROUP_SECONDS = 1200.0  # and few enough for memory, if they are long
_FRAME = 400  # samples, 25 ms
_QUIETEST = 1e-10  # power at -100 dBFS, the level of silence


@dataclass(frozen=True)
class Clip:
    """One utterance: its texts and properties."""

    id: str
    text: str
    """The text of the manifest."""
    hypothesis: str
    """The text of the recogniser."""
    duration: float
    """Seconds."""
    level: float
    """Power of the louder half of its 25 ms frames, in dBFS: that of the speech, not the pauses."""
    confidence: float
    speaker: str | None = None
    traits: dict[str, str] = field(default_factory=dict)
    """The `TRAITS` that the manifest has."""


@dataclass(frozen=True)
class Evaluation:
    """A recogniser's results on a manifest."""

    score: Score
    clips: tuple[Clip, ...]
    """In the order of the manifest and of `score.utterances`."""
    normaliser: str
    audio_seconds: float
    wall_seconds: float
    """From opening the first file to the last word, including audio decoding."""
    language: str = DEFAULT_LANGUAGE
    """The code of the recogniser's language."""
    failed: dict[str, Finding] = field(default_factory=dict)
    """Why a recording could not be read, by the clip's id: these are not scored."""

    @property
    def throughput(self) -> float:
        """Seconds of audio per second of wall time."""
        return self.audio_seconds / self.wall_seconds


def evaluate(
    recognizer: Recognizer,
    manifest: Path,
    progress: Callable[[int, int], None] | None = None,
    normaliser: str = PLAIN,
    unread: Unread = refuse_unread,
    **options: Any,
) -> Evaluation:
    """Transcribes every line of a manifest and compares it with its text.

    Args:
        unread: told of each recording that cannot be read, which is not scored but stands in the
            result; by default the first of them is an error.

    Raises:
        BadData: a line cannot be scored, and the message names every such line; or no recording can
            be read, or not all where `unread` allows none to be left out.
        BadOption: the normaliser or another option is unknown.
    """
    language = recognizer.bundle.info.language
    normaliser_named(normaliser, language)
    utterances = read_checked(manifest, "evaluated on", recognizer.bundle.normalise)
    lines = json_lines(manifest)
    clips: list[Clip] = []
    failed: dict[str, Finding] = {}

    def keep(utterance: Utterance, why: Finding) -> None:
        failed[utterance.id] = why
        unread(manifest, why)

    began = time.perf_counter()
    for group in _groups(utterances, keep):
        transcripts = recognizer.transcribe([audio for _, audio in group], written=False, **options)
        for (utterance, audio), transcript in zip(group, transcripts, strict=True):
            values = lines[utterance.line]
            clips.append(
                Clip(
                    id=utterance.id,
                    text=values["text"],
                    hypothesis=transcript.text,
                    duration=audio.duration,
                    level=level(audio.samples),
                    confidence=transcript.confidence,
                    speaker=utterance.speaker,
                    traits={
                        key: str(values[key]) for key in TRAITS if values.get(key) not in (None, "")
                    },
                )
            )
        if progress is not None:
            progress(len(clips) + len(failed), len(utterances))
    if not clips:
        raise BadData(f"{manifest} cannot be evaluated on: none of its recordings can be read.")
    return Evaluation(
        score=score_clips(clips, [clip.hypothesis for clip in clips], normaliser, language),
        clips=tuple(clips),
        normaliser=normaliser,
        audio_seconds=sum(clip.duration for clip in clips),
        wall_seconds=time.perf_counter() - began,
        language=language,
        failed=failed,
    )


def score_clips(
    clips: Sequence[Clip],
    texts: Sequence[str],
    normaliser: str,
    language: str = DEFAULT_LANGUAGE,
) -> Score:
    """The score of the recognised texts, with the same normaliser on both sides."""
    normal = normaliser_named(normaliser, language)
    return score(
        [clip.id for clip in clips],
        [normal(clip.text) for clip in clips],
        [normal(text) for text in texts],
    )


def normaliser_named(name: str, language: str = DEFAULT_LANGUAGE) -> Normaliser:
    """The normaliser of that name for a language; BadOption if there is none."""
    if name not in NORMALISERS:
        raise BadOption(f"normaliser {name!r} is not known; choose from {', '.join(NORMALISERS)}.")
    if name == PLAIN:
        return normaliser(name, language)
    if language != "en":
        raise BadOption(f"the normaliser english is none for the language {language}: use plain.")
    return english


def json_lines(manifest: Path) -> dict[int, dict[str, Any]]:
    """The objects of a manifest that `read_manifest` has read, by line number."""
    return {number: json.loads(line) for number, line in read_lines(manifest)}


def level(samples: npt.NDArray[np.float32]) -> float:
    """Power of the louder half of the 25 ms frames of samples `(S,)`, in dBFS; -100 for silence."""
    frames = max(1, len(samples) // _FRAME)
    parts = np.array_split(np.square(samples, dtype=np.float64), frames)
    powers = np.sort([part.sum() / max(1, len(part)) for part in parts])
    return float(10 * np.log10(max(powers[frames // 2 :].mean(), _QUIETEST)))


def _groups(
    utterances: Sequence[Utterance], unread: Callable[[Utterance, Finding], None]
) -> Iterator[list[tuple[Utterance, Audio]]]:
    """The utterances with their audio, in groups that fit into memory."""
    group: list[tuple[Utterance, Audio]] = []
    held = 0.0
    for utterance in utterances:
        heard = utterance.heard()
        if isinstance(heard, Finding):
            unread(utterance, heard)
            continue
        group.append((utterance, heard))
        held += heard.duration
        if len(group) == _GROUP or held >= _GROUP_SECONDS:
            yield group
            group, held = [], 0.0
    if group:
        yield group
