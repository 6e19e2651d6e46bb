"""What an importer discovers in a corpus, and the manifest of it."""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr.corpus.findings import no_file
from asr.errors import BadData, BadOption
from asr.files import NO_TEXT, is_text, replacing
from asr.text import Normaliser, is_read_aloud, normalise


@dataclass(frozen=True)
class Discovery:
    """A recording and its text, or the problem with it."""

    where: str
    """The place in the corpus, for people: a file, or a file and its line."""
    audio: Path
    text: str = ""
    """As written; it is normalised for the manifest."""
    id: str | None = None
    speaker: str | None = None
    problem: str | None = None
    extra: Mapping[str, Any] | None = None
    """Other keys of the line, such as `corpus` or `accent`."""
    start: float = 0.0
    """Where it begins in the recording, in seconds."""
    end: float | None = None
    """Where it ends; None for the recording's end."""


@dataclass(frozen=True)
class Imported:
    """The result of an import: lines written, and a sentence for each item left out."""

    lines: int
    problems: tuple[str, ...]
    changed: int
    """Lines whose digits and signs were treated."""


def write_manifest(
    discoveries: Iterable[Discovery],
    out: Path,
    normal: Normaliser = normalise,
    numbers: Callable[[str], str] = str,
) -> Imported:
    """Writes a manifest of the usable items, with relative audio paths; none if there are none.

    Args:
        normal: gives the texts their normal form, that of a language.
        numbers: treats their digits and signs; items whose text still has some are left out.

    Raises:
        BadData: no line is good, with the first reasons.
        BadOption: the manifest cannot be written.
    """
    problems: list[str] = []
    lines = changed = 0
    try:
        with ExitStack() as opened:
            for found in discoveries:
                item = replace(found, text=numbers(found.text))
                if problem := _problem(item, normal):
                    where = "" if item.where in problem else f"{item.where}: "
                    problems.append(f"{where}{problem}")
                    continue
                if not lines:
                    out.parent.mkdir(parents=True, exist_ok=True)
                    file = opened.enter_context(replacing(out))
                file.write(_line(item, out.parent, normal).encode("utf-8"))
                lines += 1
                changed += item.text != found.text
    except OSError as error:
        raise BadOption(f"{out} cannot be written ({error.strerror}).") from error
    if not lines:
        reasons = problems[:20] or ["there are no recordings"]
        raise BadData(f"no line of {out} would be good, so it is not written.", reasons)
    return Imported(lines, tuple(problems), changed)


def seconds(value: object) -> float | None:
    """A number of seconds in a corpus's file; None if it is none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


def _problem(item: Discovery, normal: Normaliser) -> str | None:
    """Why a discovery cannot be a manifest line."""
    if item.problem is not None:
        return item.problem
    if not is_text(str(item.audio)):
        return NO_TEXT
    if (reason := no_file(item.audio)) is not None:
        return reason
    if item.end is not None and item.end <= item.start:
        return f"its end {item.end:g} s is not after its start {item.start:g} s"
    if signs := sorted({char for char in item.text if is_read_aloud(char)}):
        listed = ", ".join(repr(char) for char in signs)
        return f"its text has {listed}: write what is said there in words"
    return None if normal(item.text) else "its text is empty"


def _line(item: Discovery, folder: Path, normal: Normaliser) -> str:
    values = {
        "id": item.id,
        "audio": os.path.relpath(item.audio.resolve(), folder.resolve()),
        "text": normal(item.text),
        "speaker": item.speaker,
        "start": round(item.start, 6) if item.start or item.end is not None else None,
        "end": None if item.end is None else round(item.end, 6),
        **(item.extra or {}),
    }
    given = {key: value for key, value in values.items() if value is not None}
    return json.dumps(given, ensure_ascii=False) + "\n"
