"""Folders of recordings with their texts."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from asr.audio import EXTENSIONS
from asr.corpus.importers.discovery import Discovery, seconds
from asr.corpus.importers.tables import BEYOND, read_lines, read_rows
from asr.errors import BadData

_TEXTS = (".txt", ".lab")
TABLES = (".csv", ".tsv", ".jsonl")
_PATH_COLUMNS = ("path", "audio", "file", "filename", "file_name", "wav")
_TEXT_COLUMNS = ("text", "sentence", "transcript", "transcription")
_KEPT = ("id", "speaker", "start", "end")
_COLUMNS = {*_PATH_COLUMNS, *_TEXT_COLUMNS, *_KEPT, "client_id"}


def folder(
    root: Path,
    encoding: str = "utf-8",
    separator: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    out: Path | None = None,
) -> Iterator[Discovery]:
    """Any folder: each recording's text in a .txt or .lab file of its name, or in tables.

    A table (csv, tsv or jsonl) names recordings, relative to itself, and their texts in columns
    called `path` and `text` or one of their other usual names; further columns `id` and `speaker`
    are kept, and `start` and `end` (seconds) are stretches of a recording. If there are tables, the
    texts are theirs alone, and recordings that no row names are problems; `root` may also be one of
    them, and then it alone says which recordings are meant.

    Args:
        encoding: of tables and texts.
        separator: between the columns of tables; without it, each table's first line tells.
        say: is told of a table's columns that are not read.
        out: a manifest of an earlier import in the folder, which is no table of it.
    """
    files = [root]
    if not root.is_file():
        own = None if out is None else os.path.abspath(out)
        locked: list[OSError] = []
        found = sorted(_files_below(root, locked.append))
        files = [path for path in found if os.path.abspath(path) != own]
        for error in locked:
            place = Path(error.filename)
            why = f"{place} cannot be listed ({error.strerror}): check its permissions"
            yield Discovery(str(place), place, problem=why)
    recordings = _ending(files, EXTENSIONS)
    if tables := _ending(files, TABLES):
        rows = (row for table in tables for row in _table(table, encoding, separator, say))
        yield from _named(rows, recordings)
        return
    names = {path.with_suffix("") for path in recordings}
    for text_file in _ending(files, _TEXTS):
        if text_file.with_suffix("") not in names:
            yield Discovery(str(text_file), text_file, problem="it has no recording beside it")
    for audio in recordings:
        texts = [audio.with_suffix(suffix) for suffix in _TEXTS]
        beside = next((path for path in texts if path.is_file()), None)
        if beside is None:
            yield Discovery(
                str(audio), audio, problem=f"it has no text beside it ({texts[0].name})"
            )
        else:
            yield _with_text(audio, beside, encoding, str(audio.relative_to(root).with_suffix("")))


def _files_below(root: Path, locked: Callable[[OSError], None]) -> Iterator[Path]:
    """The files of a folder at any depth; links are followed, and each folder is read once."""
    entered = set()
    for folder, folders, names in os.walk(root, onerror=locked, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders.sort()
        yield from (Path(folder, name) for name in names)


def _named(rows: Iterable[Discovery], recordings: Sequence[Path]) -> Iterator[Discovery]:
    """The rows of tables, of two texts for one stretch only the first; and unnamed recordings."""
    first: dict[tuple[Path, float, float | None], Discovery] = {}
    named = set()
    for row in rows:
        path = Path(os.path.abspath(row.audio))
        named.add(path)
        if row.problem is None:
            before = first.setdefault((path, row.start, row.end), row)
            if before is not row:
                row = replace(row, problem=f"{before.where} has the text of its recording already")
        yield row
    for audio in recordings:
        if Path(os.path.abspath(audio)) not in named:
            yield Discovery(str(audio), audio, problem="no row of a table names it")


def _with_text(audio: Path, beside: Path, encoding: str, id: str) -> Discovery:
    try:
        return Discovery(str(audio), audio, " ".join(read_lines(beside, encoding)), id=id)
    except BadData as error:
        return Discovery(str(audio), audio, problem=str(error).removesuffix("."))


def _ending(files: Iterable[Path], suffixes: Collection[str]) -> list[Path]:
    return [path for path in files if path.suffix.lower() in suffixes]


def _table(
    table: Path, encoding: str, separator: str | None, say: Callable[[str], None]
) -> Iterator[Discovery]:
    rows = read_rows(table, encoding, separator)
    first = next(rows, None)
    if first is None:
        return
    columns = [name for name in first[1] if name != BEYOND]
    lines_of_json = table.suffix.lower() == ".jsonl"
    if not lines_of_json and (problem := _lacking(columns)):
        yield Discovery(str(table), table, problem=problem)
        return
    if unread := [name for name in columns if name not in _COLUMNS]:
        say(f"{table}: columns not read: {', '.join(unread)}; those kept are {', '.join(_KEPT)}")
    for where, row in chain([first], rows):
        name = next((row[key] for key in _PATH_COLUMNS if row.get(key)), "")
        text = next((row[key] for key in _TEXT_COLUMNS if row.get(key)), "")
        start, end = seconds(row.get("start") or 0), seconds(row.get("end") or None)
        problem = None if name else f"it has nothing in a column {' or '.join(_PATH_COLUMNS)}"
        if any(row.get(BEYOND) or ()):
            problem = (
                "it has more cells than the first line: put a text that has the separator between "
                "quotation marks"
            )
        if start is None or (end is None and row.get("end")):
            problem = "its start or end is no number of seconds"
        yield Discovery(
            where=where,
            audio=table.parent / str(name),
            text=str(text),
            id=row.get("id") or None,
            speaker=row.get("speaker") or row.get("client_id") or None,
            problem=problem,
            start=start or 0.0,
            end=end,
        )


def _lacking(columns: Sequence[str]) -> str | None:
    """Why no row of a table with these columns can be used."""
    for content, names in (("recordings", _PATH_COLUMNS), ("texts", _TEXT_COLUMNS)):
        if not set(names) & set(columns):
            return (
                f"its columns are {', '.join(columns)}: call the one with the {content} "
                f"{' or '.join(names)}"
            )
    return None
