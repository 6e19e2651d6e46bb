"""Files and folders -> the recordings of a job, each once, in a fixed order."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.audio import EXTENSIONS


@dataclass(frozen=True)
class Input:
    """One recording of a job.

    `inner` is its path relative to the given folder, or its name if the file itself was given.
    `problem` says in one sentence why it cannot be read, if that is known before reading.
    """

    path: Path
    inner: Path
    problem: str | None = None


class Inputs(list[Input]):
    """The recordings of a job, and how many other files its folders hold."""

    passed_over = 0
    """Number of files that are not hidden and have no suffix of a recording."""


def list_inputs(paths: Sequence[str | os.PathLike[str]]) -> Inputs:
    """The recordings in `paths`, in order; those in a folder, at any depth, sorted by name.

    In folders, hidden files and folders are ignored, and files without one of
    `asr.audio.EXTENSIONS` are counted; a file given by itself is accepted with any name. A path
    that occurs twice is listed once; a link is a path of its own. A missing path, or a folder
    without recordings or permission, is listed as an input that fails, so that a job reports it.
    """
    seen: set[str] = set()
    inputs = Inputs()
    others: set[str] = set()
    for path in map(Path, paths):
        listed = [Input(path, _name(path))]
        if path.is_dir():
            listed = list(_below(path, path, set(), others))
        if not listed:
            listed = [Input(path, _name(path), f"{path} holds no recordings: give another folder")]
        for item in listed:
            path_given = os.path.abspath(item.path)
            if path_given not in seen:
                seen.add(path_given)
                inputs.append(item)
    inputs.passed_over = len(others - seen)
    return inputs


def _below(folder: Path, top: Path, entered: set[str], others: set[str]) -> Iterator[Input]:
    """The recordings of a folder; the paths of its other files are added to `others`."""
    real = os.path.realpath(folder)
    if real in entered:  # links can form a cycle
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
            yield from _below(path, top, entered, others)
        elif path.suffix.lower() in EXTENSIONS:
            yield Input(path, path.relative_to(top))
        else:
            others.add(os.path.abspath(path))


def _name(path: Path) -> Path:
    """The last part of `path`, also of "." and "..", which have no name."""
    return Path(path.name if path.name not in ("", "..") else path.resolve().name)
