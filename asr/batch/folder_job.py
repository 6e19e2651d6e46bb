"""What a folder job is asked to do."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from asr.audio import PIECEWISE, Limits
from asr.batch.shards import Shard
from asr.options import Selection
from asr.transcript import Layout, file_suffix

if TYPE_CHECKING:
    from asr.batch.cluster import Cluster
    from asr.options import Options
    from asr.runtime import Recognizer

JSONL = "jsonl"
"""Stands among the formats for the line of `--jsonl`, and in `about` for the path of its file."""


@dataclass(frozen=True, kw_only=True)
class FolderJob:
    """What a job is asked to do."""

    output: Path
    formats: Sequence[str]
    layout: Layout
    options: "Options"
    """Of `Recognizer.options`."""
    made: str
    """A digest of what decides a transcript, besides the recording (`made_by`)."""
    selection: Selection = field(default_factory=Selection)
    limits: Limits = PIECEWISE
    jsonl: Path | None = None
    """File of all transcripts, a line for each recording."""
    shard: Shard = field(default_factory=Shard)
    overwrite: bool = False
    """Do all, also what is done."""
    fail_fast: bool = False
    """Stop at the first recording that fails."""
    jobs: int | None = None
    """The most decoding processes."""
    cluster: "Cluster | None" = None
    """Where it runs; else here."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Kept in the journal."""

    @property
    def endings(self) -> list[str]:
        """Of the output files, without the dot."""
        return [file_suffix(name).removeprefix(".") for name in self.formats]

    @property
    def kinds(self) -> list[str]:
        """The formats by the endings of their files, and the line of `jsonl` if it is wanted."""
        return [*self.endings, *([JSONL] if self.jsonl else [])]

    def files(self, stem: str) -> list[Path]:
        """The output files of a recording."""
        return [self.output / f"{stem}{file_suffix(name)}" for name in self.formats]

    @property
    def full_list(self) -> Path | None:
        """The file of all transcripts of the job's part, if one is wanted."""
        if self.jsonl is None:
            return None
        return self.jsonl.with_name(f"{self.jsonl.stem}{self.shard.suffix}{self.jsonl.suffix}")


def made_by(
    recognizer: "Recognizer", options: "Options", layout: Layout, selection: Selection
) -> str:
    """A digest of what decides a transcript's files, besides the recording and their formats."""
    from asr.bundle.bundle import checksum  # which decoding processes need not load

    info, lm = recognizer.bundle.info, recognizer.lm
    own = lm is None or lm == recognizer.bundle.lm
    values = {
        "bundle": dict(info.checksums),
        "calibration": info.calibration,
        "lm": None if own or lm is None else checksum(lm),
        "options": options.values(),
        "layout": asdict(layout),
        "selection": asdict(selection),
    }
    text = json.dumps(values, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()
