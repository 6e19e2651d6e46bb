"""What a reader finds in a corpus, and the manifest of it."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import BadData, BadOption
from asr.text import is_read_aloud, normalise


@dataclass(frozen=True)
class Found:
    """A recording with its text, or what is wrong with it."""

    where: str
    """The place in the corpus, for people: a file, or a file and its line."""
    audio: Path
    text: str = ""
    """As written; normalised when it becomes a line."""
    id: str | None = None
    speaker: str | None = None
    problem: str | None = None
    extra: Mapping[str, Any] | None = None
    """Other keys of the line, as `corpus` or `accent`."""


@dataclass(frozen=True)
class Imported:
    """What became of a corpus: lines written, and the sentences that name what was left out."""

    lines: int
    problems: tuple[str, ...]


def write_manifest(found: Iterable[Found], out: Path) -> Imported:
    """The manifest of what can be used, audio relative to it; nothing is written if nothing can.

    Raises:
        BadData: no line is good, with the first reasons.
        BadOption: the manifest cannot be written.
    """
    problems: list[str] = []
    lines = 0
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        with ExitStack() as opened:
            for item in found:
                if problem := _problem(item):
                    problems.append(f"{item.where}: {problem}")
                    continue
                if not lines:
                    out.parent.mkdir(parents=True, exist_ok=True)
                    file = opened.enter_context(partial.open("w", encoding="utf-8"))
                file.write(_line(item, out.parent))
                lines += 1
        if lines:
            os.replace(partial, out)
    except OSError as error:
        raise BadOption(f"{out} cannot be written ({error.strerror}).") from error
    finally:
        with suppress(OSError):  # it is there only where writing was cut short
            partial.unlink()
    if not lines:
        reasons = "\n".join(problems[:20]) or "there are no recordings"
        raise BadData(f"no line of {out} would be good, so it is not written.\n{reasons}")
    return Imported(lines, tuple(problems))


def _problem(item: Found) -> str | None:
    """Why something that was found cannot be a manifest line."""
    if item.problem is not None:
        return item.problem
    if not item.audio.is_file():
        return f"there is no file {item.audio}"
    if signs := sorted({char for char in item.text if is_read_aloud(char)}):
        listed = ", ".join(repr(char) for char in signs)
        return f"its text has {listed}: write what is said there in words"
    return None if normalise(item.text) else "its text is empty"


def _line(item: Found, folder: Path) -> str:
    values = {
        "id": item.id,
        "audio": os.path.relpath(item.audio.resolve(), folder.resolve()),
        "text": normalise(item.text),
        "speaker": item.speaker,
        **(item.extra or {}),
    }
    given = {key: value for key, value in values.items() if value is not None}
    return json.dumps(given, ensure_ascii=False) + "\n"
