"""Text files and tables, read with file names and line numbers."""

import csv
import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr.errors import BadData, BadOption

SEPARATORS = ",;\t|"
"""Between the columns of a table; which one it is, its first line tells."""
BEYOND = "beyond"
"""Stands for the column of cells beyond those of the first line."""


def read_rows(
    table: Path,
    encoding: str = "utf-8",
    separator: str | None = None,
    lines_of_json: bool = False,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and values of each row of a csv, tsv or jsonl file.

    Args:
        separator: between the columns; without it, the one of `SEPARATORS` that the first line
            has most of.
        lines_of_json: whether each line is an object of JSON, whatever the file's name.
    """
    lines = read_lines(table, encoding)
    if lines_of_json or table.suffix.lower() == ".jsonl":
        for number, line in enumerate(lines, start=1):
            try:
                values = json.loads(line)
            except json.JSONDecodeError:
                values = {}  # it has no recording, which is reported later
            if line.strip():
                yield f"{table}:{number}", values if isinstance(values, dict) else {}
        return
    ended = (f"{line}\n" for line in lines)  # a text between quotation marks may have several
    first = lines[0] if lines else ""
    # Common Voice's texts contain quotation marks, and its tables use no quoting.
    quoted = table.suffix.lower() != ".tsv" or separator is not None
    between = (separator or max(SEPARATORS, key=first.count)) if quoted else "\t"
    reader = csv.DictReader(
        ended,
        restkey=BEYOND,
        delimiter=between,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )
    try:
        begins = reader.line_num if reader.fieldnames else 0  # behind the columns
        for row in reader:
            if quoted:
                _check_quotes(table, lines, between, begins, reader.line_num)
            begins = reader.line_num
            yield f"{table}:{reader.line_num}", {str(key).strip().lower(): row[key] for key in row}
    except csv.Error as error:
        raise BadData(f"{table}:{reader.line_num} is no row of a table ({error}).") from error


def _check_quotes(table: Path, lines: list[str], between: str, begins: int, ends: int) -> None:
    """BadData where a row of several lines may be several rows, of which one lacks a quotation
    mark at the end of a text."""
    row = [f"{line}\n" for line in lines[begins:ends] if line]
    if len(row) <= 1:
        return
    try:
        list(csv.reader(row, delimiter=between, strict=True))
    except csv.Error as error:
        raise BadData(
            f"{table}:{begins + 1}-{ends}: a text begins with a quotation mark, and ends with none "
            "in its line: close it, and double those within a text."
        ) from error


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """The lines of a text file; BadData if it cannot be read."""
    try:
        with path.open(encoding=encoding, newline=None) as file:
            lines = [line.rstrip("\n") for line in file]
    except UnicodeDecodeError as error:
        with path.open("rb") as file:
            begins = file.read(2)
        usual = "utf-16 is" if begins in (BOM_UTF16_LE, BOM_UTF16_BE) else "latin-1 may be"
        raise BadData(
            f"{path} is not {encoding} ({error.reason}): convert it, or name its encoding to "
            f"`asr data folder` (or `ljspeech`): --encoding {usual} right here."
        ) from error
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error}).") from error
    except LookupError as error:
        raise BadOption(f"{error}: choose utf-8, latin-1 or another that Python knows.") from error
    return [line.removeprefix("\ufeff") if at == 0 else line for at, line in enumerate(lines)]
