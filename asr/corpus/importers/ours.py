"""Manifests of ours: copied, or made of what a recogniser heard."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from asr.corpus.findings import Finding
from asr.corpus.importers.found import Found
from asr.corpus.manifest import Utterance, read_line, read_lines
from asr.errors import BadData


def manifest(path: Path, corpora: Iterable[str] = ()) -> Iterator[Found]:
    """The lines of one of our own manifests, of all corpora or only of those named.

    Raises:
        BadData: the manifest cannot be read, or has no line of a corpus that is named.
    """
    wanted = set(corpora)
    there: set[str] = set()
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        found, values = read_line(line, number, path.parent)
        if isinstance(found, Finding):
            yield Found(where, path, problem=found.reason)
            continue
        there.add(found.corpus or "")
        if not wanted or found.corpus in wanted:
            others = {"id", "audio", "text", "speaker"}
            extra = {key: value for key, value in values.items() if key not in others}
            text = str(values["text"])
            yield Found(where, found.audio, text, values.get("id"), found.speaker, extra=extra)
    if there and (missing := wanted - there):
        raise BadData(
            f"{path} has no line of the corpus {', '.join(sorted(missing))}: choose from "
            f"{', '.join(sorted(there - {''})) or 'none, for no line names its corpus'}."
        )


class Heard(Protocol):
    """What a recogniser heard in a clip: `asr.batch.Label`."""

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
    labels: Iterable[Heard], threshold: float, known: Mapping[str, Utterance]
) -> Iterator[Found]:
    """Clips with what was heard in them as their texts, those below `threshold` with a problem.

    Args:
        known: clips by their paths, of which more than the path is known.
    """
    for label in labels:
        problem = label.error
        if problem is None and not label.text:
            problem = "no words are heard in it"
        if problem is None and label.confidence < threshold:
            problem = f"its confidence {label.confidence:.3f} is below {threshold:g}"
        clip = known.get(label.audio)
        corpus = {"corpus": clip.corpus} if clip else {}
        yield Found(
            label.audio,
            Path(label.audio),
            label.text,
            id=clip.id if clip else None,
            speaker=clip.speaker if clip else None,
            problem=problem,
            extra={"confidence": label.confidence, "duration": label.duration, **corpus},
        )
