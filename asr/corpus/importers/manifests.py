"""earshot's own manifests: copied, or made from a recogniser's transcripts."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from asr.corpus.findings import Finding
from asr.corpus.importers.discovery import Discovery
from asr.corpus.manifest import Utterance, is_apart, read_line, read_lines
from asr.errors import BadData
from asr.scripts import tokens


def manifest(path: Path, corpora: Iterable[str] = ()) -> Iterator[Discovery]:
    """The lines of a manifest, of all corpora or only of those named.

    Raises:
        BadData: the manifest cannot be read, or has no line of a corpus that is named.
    """
    wanted = set(corpora)
    there: set[str] = set()
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        utterance, values = read_line(line, number, path.parent)
        if isinstance(utterance, Finding):
            yield Discovery(where, path, problem=utterance.reason)
            continue
        there.add(utterance.corpus or "")
        if not wanted or utterance.corpus in wanted:
            others = {"id", "audio", "text", "speaker", "start", "end", "offset"}
            extra = {key: value for key, value in values.items() if key not in others}
            text = str(values["text"])
            id, speaker = values.get("id"), utterance.speaker
            yield Discovery(
                where,
                utterance.audio,
                text,
                id,
                speaker,
                extra=extra,
                start=utterance.start,
                end=utterance.end,
            )
    if there and (missing := wanted - there):
        raise BadData(
            f"{path} has no line of the corpus {', '.join(sorted(missing))}: choose from "
            f"{', '.join(sorted(there - {''})) or 'none, for no line names its corpus'}."
        )


def split_by_speaker(
    discoveries: Iterable[Discovery], share: float
) -> tuple[list[Discovery], list[Discovery]]:
    """The lines of most speakers, and those of a share of them who are set apart.

    A hash of the speaker's name decides, so that nobody changes sides when a corpus grows. Lines
    without a speaker are split by their ids.
    """
    most: list[Discovery] = []
    apart: list[Discovery] = []
    for found in discoveries:
        name = found.speaker or found.id or str(found.audio)
        (apart if is_apart(str(name), share) else most).append(found)
    return most, apart


class Label(Protocol):
    """A recogniser's transcript of a clip: `asr.batch.Label`."""

    @property
    def audio(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def duration(self) -> float: ...
    @property
    def error(self) -> str | None: ...


def labelled(
    labels: Iterable[Label],
    threshold: float,
    known: Mapping[str, Utterance],
    pace: tuple[float, float] = (0.0, math.inf),
) -> Iterator[Discovery]:
    """Clips with their transcripts as texts; those that cannot be trusted have a problem.

    Args:
        threshold: the least confidence.
        known: utterances by the paths of their clips: ids, speakers and corpora are kept.
        pace: the fewest and the most words per second.
    """
    for label in labels:
        clip = known.get(label.audio)
        corpus = {"corpus": clip.corpus} if clip else {}
        yield Discovery(
            label.audio,
            Path(label.audio),
            label.text,
            id=clip.id if clip else None,
            speaker=clip.speaker if clip else None,
            problem=_mistrust(label, threshold, pace),
            extra={"confidence": label.confidence, "duration": label.duration, **corpus},
        )


def _mistrust(label: Label, threshold: float, pace: tuple[float, float]) -> str | None:
    """Why a transcript is no text to learn from."""
    if label.error is not None:
        return label.error
    if not label.text:
        return "no words are heard in it"
    if label.confidence < threshold:
        return f"its confidence {label.confidence:.3f} is below {threshold:g}"
    words, (fewest, most) = len(tokens(label.text)) / label.duration, pace
    if not fewest <= words <= most:
        return f"its {words:.2f} words per second are not within {fewest:.2f} to {most:.2f}"
    return None
