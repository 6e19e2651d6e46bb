"""Manifests: JSON lines that name a recording and say what is spoken in it.

A line is an object with `audio` (a path, relative to the manifest's folder) and `text`, and
optionally `id`, `duration` (seconds), `speaker`, `corpus`; other keys are left to their owners.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.corpus.findings import Finding
from asr.errors import BadData
from asr.text import normalise


@dataclass(frozen=True)
class Utterance:
    """One recording and its text; `line` counts from 1 in the manifest it came from."""

    id: str
    audio: Path
    text: str
    """Normalised; may be empty, which `check_lines` finds."""
    line: int
    duration: float | None = None
    speaker: str | None = None
    corpus: str | None = None


def read_manifest(path: Path, texts: bool = True) -> tuple[list[Utterance], list[Finding]]:
    """The utterances of a manifest, and a finding for each line that is none.

    Args:
        texts: whether a line must have a `text`; without it one that is not there is empty.

    Raises:
        BadData: the manifest itself cannot be read.
    """
    utterances: list[Utterance] = []
    findings: list[Finding] = []
    for number, line in _lines(path):
        try:
            utterances.append(_utterance(json.loads(line), number, path.parent, texts))
        except json.JSONDecodeError as error:
            findings.append(
                Finding(number, "malformed", f"not JSON ({error.msg} at column {error.colno})")
            )
        except ValueError as error:
            findings.append(Finding(number, "malformed", str(error)))
    return utterances, findings


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise BadData(
            f"{path}: there is no such manifest; write one JSON line per clip "
            '({"audio": "clip.wav", "text": "what is said"}).'
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: the manifest cannot be read ({error}).") from error


def _utterance(values: Any, line: int, folder: Path, texts: bool) -> Utterance:
    if not isinstance(values, dict):
        raise ValueError("not an object with `audio` and `text`")
    audio, text = values.get("audio"), values.get("text", None if texts else "")
    if not isinstance(audio, str) or not audio:
        raise ValueError("no `audio`, the path of the recording")
    if not isinstance(text, str):
        raise ValueError("no `text`")
    duration = values.get("duration")
    if duration is not None and (not isinstance(duration, int | float) or duration < 0):
        raise ValueError(f"`duration` {duration!r} is not a number of seconds")
    return Utterance(
        id=str(values.get("id", audio)),
        audio=folder / audio,
        text=normalise(text),
        line=line,
        duration=None if duration is None else float(duration),
        speaker=values.get("speaker"),
        corpus=values.get("corpus"),
    )
