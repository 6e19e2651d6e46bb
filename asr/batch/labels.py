"""Pseudo-labels: a recogniser's texts for clips without text, with its confidence.

A journal beside the output gets a line for every clip as soon as it is done, so that a stopped run
resumes where it was, and another threshold needs no second pass.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr.batch.inputs import Input
from asr.batch.job import transcribe_files
from asr.batch.work import Result
from asr.errors import BadOption
from asr.files import NO_TEXT, is_text

if TYPE_CHECKING:
    from asr.runtime import Recognizer


@dataclass(frozen=True)
class Label:
    """The text of one clip, or the reason why there is none."""

    audio: str
    """The clip's absolute path."""
    text: str = ""
    confidence: float = 0.0
    duration: float = 0.0
    error: str | None = None


def label_files(
    recognizer: "Recognizer",
    inputs: Sequence[Input],
    journal: Path,
    progress: Callable[[int, int], None],
) -> list[Label]:
    """The label of each input, in order: from the journal, or else transcribed now.

    Raises:
        BadOption: the journal is another bundle's, or cannot be written.
    """
    bundle = str(recognizer.bundle.info.checksums["model.safetensors"])
    done = dict(_read(journal, bundle))
    for item in inputs:
        if not is_text(item.key):
            done[item.key] = Label(item.key, error=NO_TEXT)
    todo = [item for item in inputs if item.key not in done]
    progress(len(inputs) - len(todo), len(inputs))
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        with (
            journal.open("a", encoding="utf-8") as file,
            closing(transcribe_files(recognizer, todo, written=False)) as results,
        ):
            if file.tell() == 0:
                file.write(json.dumps({"bundle": bundle}) + "\n")
            for result in results:
                label = _label(result)
                done[label.audio] = label
                file.write(json.dumps(asdict(label), ensure_ascii=False) + "\n")
                file.flush()
                progress(len(done), len(inputs))
    except OSError as error:
        raise BadOption(f"{journal} cannot be written ({error.strerror}).") from error
    return [done[item.key] for item in inputs]


def _label(result: Result) -> Label:
    path, heard = result.input.key, result.transcript
    if heard is None:
        return Label(path, error=result.error)
    return Label(path, heard.text, round(heard.confidence, 4), round(heard.duration, 3))


def _read(journal: Path, bundle: str) -> Iterator[tuple[str, Label]]:
    """The labels of a journal; an incomplete last line, left by a kill, is removed."""
    if not journal.exists():
        return
    whole = journal.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    if kept != whole:
        with journal.open("r+b") as file:
            file.truncate(len(kept))
    for number, line in enumerate(kept.decode("utf-8").splitlines()):
        try:
            values: Mapping[str, object] = json.loads(line)
            if number == 0:
                if values["bundle"] != bundle:
                    raise BadOption(
                        f"{journal} was made with another bundle: delete it, or write elsewhere."
                    )
                continue
            label = Label(**values)  # type: ignore[arg-type]
        except (ValueError, KeyError, TypeError) as error:
            raise BadOption(
                f"{journal}:{number + 1} is no line of a journal ({error}): delete the file."
            ) from error
        yield label.audio, label
