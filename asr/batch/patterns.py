"""Folders of a disk, and patterns of paths in them, where links may lead in circles."""

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from glob import has_magic
from pathlib import Path


def names_in(folder: Path) -> list[str]:
    """The names in a folder that are not hidden, sorted.

    Raises:
        OSError: it cannot be listed, or what is in it may not be opened.
    """
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    os.stat(os.path.join(folder, "."))  # without this permission nothing in it can be reached
    return names


def matches(folder: Path, parts: Sequence[str]) -> set[Path]:
    """The paths below a folder that match the parts of a pattern.

    `**` stands for folders at any depth, each read once, as `glob` would read a circle of links
    for ever; at the end it stands for the folder with all that is in it. A folder that cannot be
    listed is a match, so that somebody is told of it.
    """
    return set(_matches(folder, tuple(parts)))


def _matches(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    if parts in ((), ("**",)):
        yield folder
    elif parts[:2] == ("**", "**"):  # as one
        yield from _matches(folder, parts[1:])
    elif parts[0] == "**":
        yield from _at_any_depth(folder, parts[1:], set())
    elif not has_magic(parts[0]):
        if os.path.lexists(folder / parts[0]):
            yield from _matches(folder / parts[0], parts[1:])
    elif os.path.isdir(folder):
        try:
            names = os.listdir(folder) if parts[0].startswith(".") else names_in(folder)
        except OSError:
            yield folder
            return
        for name in names:
            if fnmatch(name, parts[0]):
                yield from _matches(folder / name, parts[1:])


def _at_any_depth(folder: Path, parts: tuple[str, ...], entered: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if not os.path.isdir(folder) or real in entered:
        return
    entered.add(real)
    yield from _matches(folder, parts)
    try:
        names = names_in(folder)
    except OSError:
        yield folder
        return
    for name in names:
        yield from _at_any_depth(folder / name, parts, entered)
