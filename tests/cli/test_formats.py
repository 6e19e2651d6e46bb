"""`asr transcribe --format`: the formats of more than one line."""

import subprocess
from pathlib import Path

import pytest
from commands import asr

from asr.runtime import Recognizer
from asr.transcript import Layout, write


def transcribe(*arguments: object) -> subprocess.CompletedProcess[str]:
    return asr("transcribe", *arguments)


def test_a_folder_of_subtitles(clips: list[Path], tiny_bundle: Path, tmp_path: Path) -> None:
    done = transcribe(*clips[:2], "--bundle", tiny_bundle, "--format", "srt", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    recognizer = Recognizer.load(tiny_bundle, "auto")
    for clip in clips[:2]:
        expected = write(recognizer.transcribe(clip), "srt")
        assert (tmp_path / f"{clip.stem}.srt").read_text() == expected != ""


def test_many_recordings_share_a_ctm(clips: list[Path], tiny_bundle: Path) -> None:
    done = transcribe(*clips[:2], "--bundle", tiny_bundle, "--format", "ctm")
    recognizer = Recognizer.load(tiny_bundle, "auto")
    expected = [write(recognizer.transcribe(clip), "ctm", clip.stem) for clip in clips[:2]]
    assert done.stdout == "".join(expected)
    assert {line.split()[0] for line in done.stdout.splitlines()} == {
        clip.stem for clip in clips[:2]
    }


def test_lines_of_subtitles_are_as_told(clips: list[Path], tiny_bundle: Path) -> None:
    lines = ("--max-line-width", 12, "--max-line-count", 1)
    done = transcribe(clips[0], "--bundle", tiny_bundle, "--format", "srt", *lines)
    spoken = Recognizer.load(tiny_bundle, "auto").transcribe(clips[0])
    assert done.stdout == spoken.to_srt(Layout(max_line_width=12, max_line_count=1)) != ""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--timestamps", "--format", "srt"), "timestamps has no effect on srt; choose the format"),
        (("--max-line-width", 12), "max_line_width has no effect on txt; choose the format srt or"),
        (("--max-line-count", 0, "--format", "srt"), "max_line_count 0 is out of range; choose 1"),
    ],
)
def test_an_option_without_effect_is_refused(
    clips: list[Path], options: tuple[object, ...], sentence: str
) -> None:
    done = transcribe(clips[0], *options)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"asr: {sentence}") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("format", ["srt", "vtt", "tsv"])
def test_many_recordings_never_run_into_one_another(clips: list[Path], format: str) -> None:
    done = transcribe(*clips[:2], "--format", format)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        f"asr: {format} is a file for each recording: name a folder with --output.\n"
    )
