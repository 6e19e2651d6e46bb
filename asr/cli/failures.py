"""Recordings of a manifest that cannot be read: each is named, and stops nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from asr.cli.folder import tell

if TYPE_CHECKING:
    from asr.corpus import Finding


class Failures:
    """Names what fails on stderr, and counts it."""

    def __init__(self) -> None:
        self.number = 0

    def unread(self, manifest: Path, why: "Finding") -> None:
        """Names a recording with its line."""
        self.number += 1
        tell(f"{manifest}:{why.line}: {why.reason}")

    def end(self) -> None:
        """Ends the command with 1 if there were any."""
        if self.number:
            raise typer.Exit(1)
