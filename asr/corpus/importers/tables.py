"""Text files and tables, read with file names and line numbers."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr.errors import BadData


def read_rows(table: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and values of each row of a csv, tsv or jsonl file."""
    lines = read_lines(table)
    if table.suffix.lower() == ".jsonl":
        for number, line in enumerate(lines, start=1):
            try:
                values = json.loads(line)
            except json.JSONDecodeError:
                values = {}  # it has no recording, which is reported later
            if line.strip():
                yield f"{table}:{number}", values if isinstance(values, dict) else {}
        return
    # Common Voice's texts contain quotation marks, and its tables use no quoting.
    if table.suffix.lower() == ".tsv":
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.DictReader(lines)
    try:
        for row in reader:
            yield f"{table}:{reader.line_num}", {str(key).strip().lower(): row[key] for key in row}
    except csv.Error as error:
        raise BadData(f"{table}:{reader.line_num} is no row of a table ({error}).") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; BadData if it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            return [line.rstrip("\n") for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path} cannot be read ({error}).") from error
