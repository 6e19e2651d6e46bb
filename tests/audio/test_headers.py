"""The length of a recording by its header alone."""

import os
import shutil
from pathlib import Path

import pytest

from asr.audio import load, read_header

FILES = Path(__file__).parents[1] / "data" / "files"


def test_headers_tell_the_length(clips: list[Path]) -> None:
    for clip in clips:
        assert read_header(clip).seconds == pytest.approx(load(clip).duration, abs=0.1)


def test_what_is_no_recording_has_none(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    os.mkfifo(tmp_path / "pipe.wav")  # which nobody writes to
    for name in ("text.wav", "gone.wav", "pipe.wav", ""):
        assert read_header(tmp_path / name).seconds == 0.0


def test_what_is_broken_is_quiet(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Libraries that are asked to go before the start of a file say nothing of it."""
    book, path = (FILES / "book.m4b").read_bytes(), tmp_path / "broken"
    for ending in ("mp3", "flac", "ac3", "dts", "m4b", "wav"):
        empty = tmp_path / f"empty.{ending}"
        empty.touch()
        assert read_header(empty).seconds == 0.0
    for size in (1, 12, 100, 500, 5000):
        path.write_bytes(book[:size])
        read_header(path)
    assert capfd.readouterr() == ("", "")


def test_a_name_may_be_any_bytes(clips: list[Path], tmp_path: Path) -> None:
    named = tmp_path / os.fsdecode(b"caf\xe9")
    for clip in [*clips, FILES / "book.m4b"]:
        shutil.copy(clip, named)
        assert read_header(named).seconds == read_header(clip).seconds > 0.0


def test_a_film_is_as_long_as_its_longest_track() -> None:
    film = FILES / "second_track_default.mp4"
    assert read_header(film).seconds >= load(film).duration
