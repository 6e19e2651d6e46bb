"""`asr transcribe --format`: the formats of more than one line."""

import subprocess
from pathlib import Path

import pytest
from commands import asr

from asr.runtime import Recognizer
from asr.transcript import write


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


@pytest.mark.parametrize("format", ["srt", "vtt", "tsv"])
def test_many_recordings_never_run_into_one_another(clips: list[Path], format: str) -> None:
    done = transcribe(*clips[:2], "--format", format)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        f"asr: {format} is a file for each recording: name a folder with --output.\n"
    )
