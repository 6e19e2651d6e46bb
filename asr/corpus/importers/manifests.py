"""earshot's own manifests: copied, or made from a recogniser's transcripts."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from asr.corpus.findings import Finding
from asr.corpus.importers.discovery import Discovery
from asr.corpus.manifest import Utterance, read_line, read_lines
from asr.errors import BadData


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
        (apart if _fraction(name) < share else most).append(found)
    return most, apart


def _fraction(name: str) -> float:
    """A number from 0 to 1 that depends on the name alone."""
    digest = hashlib.sha256(name.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


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
    labels: Iterable[Label], threshold: float, known: Mapping[str, Utterance]
) -> Iterator[Discovery]:
    """Clips with their transcripts as texts; those below `threshold` have a problem.

    Args:
        known: utterances by the paths of their clips: ids, speakers and corpora are kept.
    """
    for label in labels:
        problem = label.error
        if problem is None and not label.text:
            problem = "no words are heard in it"
        if problem is None and label.confidence < threshold:
            problem = f"its confidence {label.confidence:.3f} is below {threshold:g}"
        clip = known.get(label.audio)
        corpus = {"corpus": clip.corpus} if clip else {}
        yield Discovery(
            label.audio,
            Path(label.audio),
            label.text,
            id=clip.id if clip else None,
            speaker=clip.speaker if clip else None,
            problem=problem,
            extra={"confidence": label.confidence, "duration": label.duration, **corpus},
        )
