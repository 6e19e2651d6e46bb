"""Files, folders, patterns and lists of paths -> the recordings of a job, each once, in order."""

import os
import sys
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from glob import has_magic
from itertools import takewhile
from pathlib import Path
from typing import Self, TypeAlias
from urllib.parse import unquote, urlsplit

from asr.audio import EXTENSIONS
from asr.batch.patterns import matches, names_in
from asr.batch.stores import Address, StoreError, Version, in_store, is_address
from asr.counting import counted
from asr.errors import BadOption

STDIN = "-"
"""Stands for a list of paths on standard input."""


Place: TypeAlias = Path | Address
"""Where a recording lies: on a disk, or in a store."""


@dataclass(frozen=True)
class Input:
    """One recording of a job.

    `inner` is its path below the output folder, with its own suffix: relative to the given folder
    or to the part of a pattern without wildcards, whole for a path of a list, and the name alone
    if the file itself was given. `problem` says in one sentence why it cannot be read, if that is
    known before reading.
    """

    path: Place
    inner: Path
    problem: str | None = None
    stem: str = ""
    """The path of its output files, but for their ending, if it has any (`output_stems`)."""
    is_empty: bool = False
    """Whether the problem is only that there is no recording yet."""

    @property
    def key(self) -> str:
        """Its absolute path, or its address."""
        return str(self.path) if isinstance(self.path, Address) else os.path.abspath(self.path)

    @property
    def known(self) -> Version | None:
        """Its version as far as it is known at once; a listing's may be old."""
        if self.problem is not None:
            return None
        return self.path.known if isinstance(self.path, Address) else version_of(self)


class Inputs(list[Input]):
    """The recordings of a job, and what else there was where they lie."""

    def __init__(self, items: Iterable[Input] = ()) -> None:
        super().__init__(items)
        self.others: set[str] = set()
        """Absolute paths, or addresses, of files in its folders that are not hidden and have no
        suffix of a recording."""
        self.excluded = 0
        """Number of recordings that a pattern of `exclude` leaves out."""

    @property
    def passed_over(self) -> int:
        """Number of other files."""
        return len(self.others)

    def first(self, count: int | None) -> Self:
        """The first recordings, as many as told."""
        if count is not None:
            del self[count:]
        return self

    def plan(self, stems: Sequence[str], holds: Callable[[str], bool]) -> None:
        """Gives each recording its stem, and keeps those whose stem is held.

        Where none can be read all are kept: every part of the work says why there is none.
        """
        hopeless = all(item.problem for item in self)
        pairs = zip(self, stems, strict=True)
        self[:] = [replace(item, stem=stem) for item, stem in pairs if hopeless or holds(stem)]


def list_inputs(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    listed: Sequence[str] = (),
    exclude: str | Sequence[str] = (),
) -> Inputs:
    """The recordings in `paths`, one or several, in order; those in a folder, at any depth, sorted
    by name.

    A path may be an address of a store (`asr.batch.stores.in_store`).

    In folders, hidden files and folders are ignored, and files without one of
    `asr.audio.EXTENSIONS` are counted; a file given by itself is accepted with any name. What does
    not exist and has wildcards is a pattern, in which `**` stands for folders at any depth. A path
    that occurs twice is listed once; a link is a path of its own. A missing path, a pattern that
    matches nothing, or a folder without recordings or permission, is listed as an input that
    fails, so that a job reports it; so is `exclude` where it leaves nothing.

    Args:
        listed: paths of a list (`read_list`): they have no wildcards and keep all their folders;
            an address is that of a file, or ends in a slash.
        exclude: patterns of what is left out, by the path below the given folder, or by the name of
            the file or of a folder.

    Raises:
        BadOption: an address needs a package that is not installed.
    """
    paths = [paths] if isinstance(paths, str | os.PathLike) else paths
    exclude = [exclude] if isinstance(exclude, str) else exclude
    inputs, walk = Inputs(), _Walk(set())
    seen: set[str] = set()
    for item in walk.all(paths, listed):
        if item.key in seen:
            continue
        seen.add(item.key)
        if item.problem is None and _matches(item.inner, exclude):
            inputs.excluded += 1
        else:
            inputs.append(item)
    if inputs.excluded and not inputs:
        some = counted(inputs.excluded, "recording")
        nothing = f"--exclude leaves nothing of {some}: exclude less"
        inputs.append(Input(Path(), Path("excluded"), nothing, is_empty=True))
    inputs.others = walk.others - seen
    return inputs


def read_list(name: str, nul: bool = False) -> list[str]:
    """The paths in a file, or on standard input if it is called `-`: one a line.

    Args:
        nul: a zero byte ends each path, as `find -print0` writes them, so that names may have any
            character.

    Raises:
        BadOption: the list cannot be read, is no text, or is empty.
    """
    shown = "the list on standard input" if name == STDIN else f"the list {name}"
    try:
        content = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        raise BadOption(f"{shown} cannot be read ({error.strerror}): check its path.") from error
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise BadOption(f"{shown} is UTF-16: save it as UTF-8.")
    content = content.removeprefix(BOM_UTF8)
    if not nul and b"\0" in content:
        raise BadOption(
            f"{shown} has zero bytes: add -0 if they end its paths; recordings are given by path."
        )
    lines = content.split(b"\0") if nul else content.splitlines()
    paths = [os.fsdecode(line) for line in lines if line]
    if not paths:
        raise BadOption(f"{shown} names no recordings: write one path on each line.")
    return paths


def _matches(inner: Path, patterns: Sequence[str]) -> bool:
    return any(
        fnmatch(name, pattern) for pattern in patterns for name in (inner.as_posix(), *inner.parts)
    )


@dataclass(frozen=True)
class _Walk:
    """Goes through what was given; notes files of folders that are no recordings."""

    others: set[str]
    """Absolute paths."""

    def all(
        self, paths: Sequence[str | os.PathLike[str]], listed: Sequence[str]
    ) -> Iterator[Input]:
        for path in map(place_of, paths):
            if isinstance(path, Address):
                yield from self._in_store(path, Path(path.inner.name), Path())
            elif has_magic(os.fspath(path)) and not os.path.lexists(path):
                yield from self._matching(os.fspath(path))
            else:
                yield from self._given(Path(path), _name(Path(path)), Path())
        for path in map(place_of, listed):
            if not isinstance(path, Address):
                whole = _below_root(path)
                yield from self._given(path, whole, whole)
            elif path.url.endswith("/"):
                yield from self._in_store(path, path.inner, path.inner)
            else:
                yield Input(path, path.inner)

    def _in_store(self, given: Address, name: Path, inner: Path) -> Iterator[Input]:
        """As `_given`, and for a pattern."""
        empty = True
        try:
            for address, below, problem in in_store(given.url):
                if problem is not None:
                    empty = False
                    yield Input(address, inner / below if below.parts else name, problem)
                    continue
                if any(part.startswith(".") for part in below.parts):
                    continue
                asked = given.suffix and address.suffix == given.suffix  # by a pattern
                if _is_recording(address) or asked or below == Path():
                    empty = False
                    yield Input(address, inner / below if below.parts else name)
                else:
                    self.others.add(address.url)
        except StoreError as error:
            yield Input(given, name, str(error))
        else:
            if empty:
                none = f"{given} holds no recordings: give another address"
                yield Input(given, name, none, is_empty=True)

    def _given(self, path: Path, name: Path, inner: Path) -> Iterator[Input]:
        """A file, whose inner path is `name`, or a folder, which stands for `inner`."""
        if not os.path.isdir(path):  # pathlib fails where a folder may not be entered
            missing = f"{path} does not exist: check the path" if _is_missing(path) else None
            yield Input(path, name, missing)
            return
        empty = True
        for item in self._below(path, inner, set()):
            empty = False
            yield item
        if empty:
            none = f"{path} holds no recordings: give another folder"
            yield Input(path, name, none, is_empty=True)

    def _matching(self, pattern: str) -> Iterator[Input]:
        fixed = takewhile(lambda part: not has_magic(part), Path(pattern).parts)
        top = Path(*fixed)
        suffix = Path(pattern).suffix
        by_suffix = suffix not in ("", ".") and not has_magic(suffix)
        found = sorted(matches(top, Path(pattern).parts[len(top.parts) :]), key=str)
        for path in found:
            inner = path.relative_to(top)
            if os.path.isdir(path):
                yield from self._below(path, inner, set())
            elif by_suffix or _is_recording(path):
                yield Input(path, inner)
            else:
                self.others.add(os.path.abspath(path))
        if not found:
            none = f"{pattern} matches no file: correct it"
            yield Input(Path(pattern), Path("pattern"), none, is_empty=True)

    def _below(self, folder: Path, inner: Path, entered: set[str]) -> Iterator[Input]:
        real = os.path.realpath(folder)
        if real in entered:  # links can form a cycle
            return
        entered.add(real)
        try:
            names = names_in(folder)
        except OSError as error:
            yield Input(
                folder,
                inner if inner.name else _name(folder),
                f"{folder} cannot be listed ({error.strerror}): check its permissions",
            )
            return
        for name in names:
            path = folder / name
            if os.path.isdir(path):
                yield from self._below(path, inner / name, entered)
            elif _is_recording(path):
                yield Input(path, inner / name)
            else:
                self.others.add(os.path.abspath(path))


def place_of(path: str | os.PathLike[str]) -> Place:
    """A path, or what is written as an address."""
    text = os.fspath(path)
    if text.startswith("file://"):
        return Path(unquote(urlsplit(text).path))
    return Address(text) if isinstance(path, str) and is_address(text) else Path(path)


def version_of(item: Input) -> Version | None:
    """The version of a recording now; None where there is none. That in a store is asked for."""
    try:
        if isinstance(item.path, Address):
            return item.path.known or item.path.version()
        about = os.stat(item.path)
    except (OSError, ValueError, StoreError):
        return None
    return about.st_size, about.st_mtime_ns


def _is_missing(path: Path) -> bool:
    """Whether there is nothing at a path; not so where that cannot be seen."""
    try:
        os.stat(path)
    except PermissionError:
        return False
    except (OSError, ValueError):
        return True
    return False


def _is_recording(path: Place) -> bool:
    return path.suffix.lower() in EXTENSIONS


def _name(path: Path) -> Path:
    """The last part of `path`, also of "." and "..", which have no name."""
    return Path(path.name if path.name not in ("", "..") else path.resolve().name)


def _below_root(path: Path) -> Path:
    """A path of a list as a path below a folder, without `..` and the root."""
    plain = Path(os.path.normpath(path))
    if ".." in plain.parts:
        plain = plain.absolute().resolve()
    return plain.relative_to(plain.anchor)
