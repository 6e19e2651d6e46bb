"""A folder of many short recordings, and what a job has left of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.batch import Journal

NAMES = ("plain", "two words", "caf\u00e9 \U0001f600", "line\nend", "-0", "a.b", "'quoted\" $name")


def many(folder: Path, clips: list[Path], count: int) -> list[Path]:
    """So many recordings of a second or two: odd names, and the same names in several folders."""
    speech = np.concatenate([soundfile.read(clip, dtype="float32")[0] for clip in clips])
    made = []
    for number in range(count):
        place = folder / f"part {number // len(NAMES) % 5}" / str(number // (5 * len(NAMES)))
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{NAMES[number % len(NAMES)]}.{('wav', 'flac')[number % 2]}"
        length = 8_000 + 160 * (number * 37 % 100)
        start = number * 5_000 % (len(speech) - length)
        soundfile.write(path, speech[start : start + length], 16_000)
        made.append(path)
    return made


def contents(output: Path) -> dict[str, bytes]:
    """The bytes of every file, but for those of the job itself."""
    return {
        os.fsencode(path.relative_to(output)).decode("utf-8", "replace"): path.read_bytes()
        for path in files(output)
    }


def files(output: Path) -> Iterator[Path]:
    for path in sorted(output.rglob("*")):
        if path.is_file() and ".earshot" not in path.parts:
            yield path


def journalled(output: Path) -> list[str]:
    """The lines of what is done, as the journal has it; none before there is one."""
    path = output / ".earshot" / "journal.sqlite"
    if not path.exists():
        return []
    journal = Journal(path)
    try:
        return list(journal.lines("done"))
    finally:
        journal.close()


def harmful(folder: Path, harm: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file at which a child runs `harm`, as a fault in C would; a module that it imports does it.

    It must be made before the child starts.
    """
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(
        "import io, os, signal, time\n"
        "class Harmful(io.FileIO):\n"
        "    def __init__(self, path, *rest):\n"
        f"        if str(path).endswith('harmful.wav'): {harm}\n"
        "        super().__init__(path, *rest)\n"
        "io.FileIO = Harmful\n"
    )
    monkeypatch.syspath_prepend(str(folder / "hook"))
    path = folder / "harmful.wav"
    path.write_bytes(b"x")
    return path
