"""Files and folders -> the recordings of a job, each once, in an order that stays the same."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.audio import EXTENSIONS


@dataclass(frozen=True)
class Input:
    """One recording of a job.

    `inner` is its path below the folder it was found in, or its name where it was given itself.
    `problem` says in one sentence why it cannot be read, where that is known before reading.
    """

    path: Path
    inner: Path
    problem: str | None = None


def list_inputs(paths: Sequence[str | os.PathLike[str]]) -> list[Input]:
    """The recordings in `paths`, in their order; a folder's own, at any depth, sorted by name.

    In folders, hidden files and folders are passed over, and so is what does not end in one of
    `asr.audio.EXTENSIONS`; a file that is given itself is taken whatever its name. A path that is
    found twice comes once; a link is a path of its own. What is missing, or a folder without
    recordings or without permission, comes as an input that fails, so that a job reports it.
    """
    seen: set[str] = set()
    inputs = []
    for path in map(Path, paths):
        found = list(_below(path, path, set())) if path.is_dir() else [Input(path, _name(path))]
        if not found:
            found = [Input(path, _name(path), f"{path} holds no recordings: give another folder")]
        for item in found:
            path_given = os.path.abspath(item.path)
            if path_given not in seen:
                seen.add(path_given)
                inputs.append(item)
    return inputs


def _below(folder: Path, top: Path, entered: set[str]) -> Iterator[Input]:
    real = os.path.realpath(folder)
    if real in entered:  # links can form a circle
        return
    entered.add(real)
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        yield Input(
            folder,
            folder.relative_to(top) if folder != top else _name(top),
            f"{folder} cannot be listed ({error.strerror}): check its permissions",
        )
        return
    for name in names:
        path = folder / name
        if name.startswith("."):
            continue
        if path.is_dir():
            yield from _below(path, top, entered)
        elif path.suffix.lower() in EXTENSIONS:
            yield Input(path, path.relative_to(top))


def _name(path: Path) -> Path:
    """The last part of `path`, also of "." and "..", which have no name."""
    return Path(path.name if path.name not in ("", "..") else path.resolve().name)
