"""lhotse's manifests of cuts."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr.corpus.importers.discovery import Discovery
from asr.errors import BadData


def lhotse(cuts: Path) -> Iterator[Discovery]:
    """Cuts (`.jsonl` or `.jsonl.gz`): a line for each text, with its stretch of the recording.

    Recordings are files with one channel; others, and mixed or padded cuts, are named.

    Raises:
        BadData: the file cannot be read.
    """
    try:
        with (gzip.open if cuts.suffix == ".gz" else open)(
            cuts, "rt", encoding="utf-8-sig"
        ) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield from _spoken(f"{cuts}:{number}", line, cuts.parent)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise BadData(f"{cuts} cannot be read ({error}).") from error


def _spoken(where: str, line: str, folder: Path) -> Iterator[Discovery]:
    """What is spoken in one cut."""
    try:
        cut = json.loads(line)
        audio = folder / _file(cut["recording"])
        first, length = float(cut["start"]), float(cut["duration"])
        whole = float(cut["recording"]["duration"])
        supervisions: list[dict[str, Any]] = cut["supervisions"]
        for spoken in supervisions:
            begin = first + max(0.0, float(spoken["start"]))
            end = min(first + length, first + float(spoken["start"]) + float(spoken["duration"]))
            part = begin > 0 or end < whole - 1e-3
            yield Discovery(
                where=where,
                audio=audio,
                text=str(spoken.get("text") or ""),
                id=str(spoken["id"] if len(supervisions) > 1 else cut["id"]),
                speaker=spoken.get("speaker"),
                start=begin if part else 0.0,
                end=end if part else None,
            )
        if not supervisions:
            yield Discovery(where, audio, problem="it has no text")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = error.args[0] if isinstance(error, _Foreign) else "it is no cut of one recording"
        yield Discovery(where, folder, problem=str(reason))


class _Foreign(ValueError):
    """A recording that no manifest can name, with the reason."""


def _file(recording: dict[str, Any]) -> str:
    (source,) = recording["sources"]
    if source["type"] != "file":
        raise _Foreign(f"its recording is a {source['type']} and no file")
    if len(source["channels"]) != 1:
        raise _Foreign(f"its recording has {len(source['channels'])} channels: part them first")
    return str(source["source"])
