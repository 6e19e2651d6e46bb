"""Findings: what can be wrong with a manifest line, and how it is reported."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from asr.counting import counted

Kind = Literal[
    "malformed",
    "empty text",
    "unknown characters",
    "no pronunciation",
    "missing audio",
    "undecodable audio",
    "outside audio",
    "unreachable",
    "duplicate id",
    "shared speaker",
    "wrong duration",
    "silent",
    "clipped",
    "crowded",
    "odd rate",
]
WARNINGS: frozenset[Kind] = frozenset(
    {"wrong duration", "silent", "clipped", "crowded", "odd rate"}
)
"""Kinds that may be intended; lines with other findings cannot be trained on."""


@dataclass(frozen=True)
class Finding:
    """A fault of one line; lines count from 1."""

    line: int
    kind: Kind
    reason: str

    @property
    def is_error(self) -> bool:
        """Whether the line cannot be trained on."""
        return self.kind not in WARNINGS


def no_file(path: Path) -> str | None:
    """Why a recording cannot lie at a path; None where there is a file."""
    if os.path.isfile(path):  # pathlib fails where a name is too long
        return None
    if os.path.isdir(path):
        return f"{path} is a folder: name a recording"
    if os.path.exists(path):  # a pipe can be read once, and a manifest's recordings are read often
        return f"{path} is not a regular file: save the recording to a file first"
    return f"there is no file {path}"


def explain(path: Path | str, findings: Iterable[Finding], most: int | None = None) -> str:
    """`MANIFEST:LINE: error|warning: reason` for each finding, in order of lines."""
    return "\n".join(explained(path, findings, most))


def explained(path: Path | str, findings: Iterable[Finding], most: int | None = None) -> list[str]:
    """The lines of `explain`."""
    ordered = sorted(findings, key=lambda finding: finding.line)
    shown = [
        f"{path}:{finding.line}: {'error' if finding.is_error else 'warning'}: {finding.reason}"
        for finding in ordered[:most]
    ]
    if most is not None and len(ordered) > most:
        shown.append(f"{path}: and {counted(len(ordered) - most, 'more line')}")
    return shown
