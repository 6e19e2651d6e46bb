"""LJSpeech, and the many corpora in its layout."""

from collections.abc import Iterator
from pathlib import Path

from asr.corpus.importers.discovery import Discovery
from asr.corpus.importers.tables import read_lines
from asr.errors import BadData


def ljspeech(root: Path, encoding: str = "utf-8") -> Iterator[Discovery]:
    """A folder with `metadata.csv`, lines `id|text` or `id|text|text in words`, and `wavs/ID.wav`.

    Raises:
        BadData: there is no `metadata.csv`, or it cannot be read.
    """
    table = root / "metadata.csv"
    if not table.is_file():
        raise BadData(f"{root} has not the layout of LJSpeech: it has no metadata.csv.")
    named: set[Path] = set()
    for number, line in enumerate(read_lines(table, encoding), start=1):
        name, *texts = (part.strip() for part in line.split("|"))
        if not name:
            continue
        audio = root / "wavs" / (name if name.endswith(".wav") else f"{name}.wav")
        named.add(audio)
        yield Discovery(
            where=f"{table}:{number}",
            audio=audio,
            text=texts[-1] if texts else "",
            id=name,
            problem=None if texts else "it is no line `id|text`",
        )
    for audio in sorted(set((root / "wavs").glob("*.wav")) - named):
        yield Discovery(str(audio), audio, problem=f"no line of {table} has its text")
