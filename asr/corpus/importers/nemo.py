"""NeMo's manifests."""

from collections.abc import Iterator
from pathlib import Path

from asr.corpus.importers.discovery import Discovery, seconds
from asr.corpus.importers.tables import read_rows


def nemo(manifest: Path) -> Iterator[Discovery]:
    """JSON lines with `audio_filepath`, `text`, and a stretch by `offset` and `duration`.

    Raises:
        BadData: the file cannot be read.
    """
    for where, row in read_rows(manifest, lines_of_json=True):
        name, text = row.get("audio_filepath"), row.get("text")
        start, length = seconds(row.get("offset")), seconds(row.get("duration"))
        speaker = row.get("speaker")
        problem = None if name else "it has no `audio_filepath`"
        if (start is None and row.get("offset") is not None) or (
            length is None and row.get("duration") is not None
        ):
            problem = "its offset or duration is no number of seconds"
        yield Discovery(
            where=where,
            audio=manifest.parent / str(name),
            text=str(text or ""),
            id=row.get("utt_id"),
            speaker=None if speaker is None else str(speaker),
            problem=problem,
            start=start or 0.0,
            end=start + length if start is not None and length is not None else None,
        )
