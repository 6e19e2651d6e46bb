"""Mozilla Common Voice."""

from collections.abc import Iterator
from pathlib import Path

from asr.corpus.importers.discovery import Discovery
from asr.corpus.importers.tables import read_rows
from asr.errors import BadData


def common_voice(root: Path, split: str) -> Iterator[Discovery]:
    """A split of Common Voice: SPLIT.tsv beside the folder clips, as downloaded.

    Speakers are `client_id`; accents, ages and genders are kept if present.
    """
    table = root / f"{split}.tsv"
    for where, row in read_rows(table):
        name = row.get("path") or ""
        known = {key: row[key] for key in ("gender", "age") if row.get(key)}
        accent = row.get("accents") or row.get("accent")
        yield Discovery(
            where=where,
            audio=root / "clips" / name,
            text=row.get("sentence") or "",
            id=Path(name).stem or None,
            speaker=row.get("client_id") or None,
            problem=None if name else "it names no `path`",
            extra={"corpus": "Common Voice", **known, **({"accent": accent} if accent else {})},
        )


def common_voice_splits(root: Path) -> list[str]:
    """The splits in the folder; BadData if there is none."""
    there = sorted(table.stem for table in root.glob("*.tsv")) if (root / "clips").is_dir() else []
    if not there:
        raise BadData(
            f"{root} holds no split of Common Voice: name the folder of one language, which holds "
            "train.tsv and clips."
        )
    return there
