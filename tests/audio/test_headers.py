"""The length of a recording by its header alone."""

from pathlib import Path

import pytest

from asr.audio import header_seconds, load


def test_headers_tell_the_length(clips: list[Path]) -> None:
    for clip in clips:
        assert header_seconds(clip) == pytest.approx(load(clip).duration, abs=0.1)


def test_what_is_no_recording_has_none(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    for path in (tmp_path / "text.wav", tmp_path / "gone.wav", tmp_path):
        assert header_seconds(path) == 0.0


def test_a_film_is_as_long_as_its_longest_track() -> None:
    film = Path(__file__).parents[1] / "data" / "files" / "second_track_default.mp4"
    assert header_seconds(film) >= load(film).duration
