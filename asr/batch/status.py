"""What is missing in an output folder, and the command that does it."""

import json
import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from asr.batch.inputs import Place
from asr.batch.journal import Counts, Journal
from asr.batch.shards import Shard
from asr.batch.workplace import journals
from asr.errors import BadOption

_SHARD = "--shard"


@dataclass(frozen=True)
class Part:
    """A part of a job, or the whole."""

    shard: Shard
    counts: Counts | None
    """None if it has not begun."""
    command: str
    """The line of a shell that does what is missing."""
    missing: tuple[tuple[Place, str | None], ...] = ()
    """Recordings that are not done, with the reason why they failed."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is missing."""
        return self.counts is not None and not self.missing


def status(output: Path) -> list[Part]:
    """The parts of the jobs that wrote to a folder, also of those that have not begun.

    Raises:
        BadOption: there was no job.
    """
    found = journals(output)
    if not found:
        raise BadOption(f"no job has written to {output}: name the folder of --output.")
    parts = []
    for count in sorted({shard.count for shard in found}):
        begun = {shard: path for shard, path in found.items() if shard.count == count}
        called = _called(next(iter(begun.values())))
        for index in range(count):
            shard = Shard(index, count)
            path = begun.get(shard)
            command = _command(*called, shard)
            parts.append(Part(shard, None, command) if path is None else _part(shard, path))
    return parts


def _part(shard: Shard, path: Path) -> Part:
    with closing(Journal(path, write=False)) as journal:
        missing = tuple(_missing(journal))
        return Part(shard, journal.counts(), _command(*_called(path), shard), missing)


def _missing(journal: Journal) -> Iterator[tuple[Place, str | None]]:
    for path, line in journal.missing():
        yield path, None if line is None else json.loads(line)["error"]


def _called(journal: Path) -> tuple[list[str], str]:
    """The arguments of the last job, and the folder where it was called."""
    with closing(Journal(journal, write=False)) as opened:
        about = opened.about()
    return json.loads(about.get("command", "[]")), about.get("folder", ".")


def _command(arguments: list[str], folder: str, shard: Shard) -> str:
    """The line that does what is missing of a part, in any folder."""
    kept, skip = list[str](), False
    for word in arguments:
        if not (skip or word == _SHARD or word.startswith(f"{_SHARD}=")):
            kept.append(word)
        skip = word == _SHARD
    if shard.count > 1:
        kept += [_SHARD, f"{shard.index}/{shard.count}"]
    there = "" if Path(folder) == Path.cwd() else f"cd {shlex.quote(folder)} && "
    return f"{there}asr {shlex.join(kept)}"
