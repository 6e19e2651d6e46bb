"""Kaldi's data folders."""

from collections.abc import Iterator
from pathlib import Path

from asr.corpus.importers.discovery import Discovery, seconds
from asr.corpus.importers.tables import read_lines
from asr.errors import BadData

_Placed = dict[str, tuple[str, str]]
"""Key -> the place of its line, and the rest of the line."""


def kaldi(root: Path) -> Iterator[Discovery]:
    """A data folder: `wav.scp` and `text`, and `segments` and `utt2spk` if they are there.

    Recordings that a command makes (`sph2pipe … |`) are named: run it, and name its files.
    Relative paths are looked for from the folder, then from the working folder, as Kaldi does.

    Raises:
        BadData: `wav.scp` or `text` is missing.
    """
    for name in ("wav.scp", "text"):
        if not (root / name).is_file():
            raise BadData(f"{root} is no data folder of Kaldi: it has no {name}.")
    second: list[Discovery] = []
    recordings, texts = _read(root / "wav.scp", second), _read(root / "text", second)
    segments = _read(root / "segments", second) if (root / "segments").is_file() else None
    speakers = _read(root / "utt2spk", second) if (root / "utt2spk").is_file() else {}
    yield from second
    for utterance, (where, text) in texts.items():
        _, speaker = speakers.get(utterance, ("", ""))
        try:
            audio, start, end = _sound(root, utterance, recordings, segments)
            problem = None
        except ValueError as error:
            audio, start, end, problem = root, 0.0, None, str(error)
        yield Discovery(
            where, audio, text, utterance, speaker or None, problem, start=start, end=end
        )
    for utterance, (where, _) in (recordings if segments is None else segments).items():
        if utterance not in texts:
            yield Discovery(where, root, problem=f"no line of {root / 'text'} has its text")


def _sound(
    root: Path, utterance: str, recordings: _Placed, segments: _Placed | None
) -> tuple[Path, float, float | None]:
    """The recording of an utterance, and its start and end there; ValueError if there is none."""
    name, start, end = utterance, 0.0, None
    if segments is not None:
        if utterance not in segments:
            raise ValueError("no line of segments has it")
        fields = segments[utterance][1].split()
        begin, stop = (seconds(field) for field in (*fields, "", "", "")[1:3])
        if begin is None or (stop is None and fields[2:3] != ["-1"]):
            raise ValueError("its line in segments is not `utterance recording start end`")
        name, start, end = fields[0], begin, stop  # -1 is the recording's end
    if name not in recordings:
        raise ValueError(f"no line of wav.scp has the recording {name}")
    path = recordings[name][1]
    if path.endswith("|"):
        raise ValueError("its recording is made by a command: run it, and name its file in wav.scp")
    return (root / path if (root / path).is_file() else Path(path)), start, end


def _read(path: Path, second: list[Discovery]) -> _Placed:
    """The lines of a table by their first word; other lines with the same one go to `second`."""
    rows: _Placed = {}
    for number, line in enumerate(read_lines(path), start=1):
        key, rest = (*line.split(maxsplit=1), "", "")[:2]  # by spaces or tabs
        where = f"{path}:{number}"
        if key in rows:
            second.append(Discovery(where, path, problem=f"{rows[key][0]} has {key} already"))
        elif key:
            rows[key] = (where, rest.strip())
    return rows
