"""`asr transcribe --format`: the formats of more than one line."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import asr

from asr.audio import SAMPLE_RATE, load
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


@pytest.mark.slow
def test_a_long_recording_is_paragraphs_and_a_line_among_others(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, np.resize(load(clips[0]).samples, 400 * SAMPLE_RATE), SAMPLE_RATE)
    spoken = Recognizer.load(tiny_bundle, "auto").transcribe(path)
    bundle = ("--bundle", tiny_bundle)
    done = transcribe(path, *bundle, "--timestamps")
    assert done.stdout == write(spoken, "txt", layout=Layout(timestamps=True))
    assert done.stdout.startswith("[00:00:0") and done.stdout.count("\n\n") > 2
    part = transcribe(path, *bundle, "--start", 100, "--duration", 20, "--format", "json")
    assert json.loads(part.stdout)["duration"] == 20.0
    several = transcribe(path, clips[1], *bundle).stdout.splitlines()
    assert len(several) == 2 and several[0] == f"{path}\t{spoken.text}"


@pytest.fixture
def conversation(clips: list[Path], tmp_path: Path) -> Path:
    """One clip on the left, another one on the right."""
    one, other = (load(clip).samples[: 3 * SAMPLE_RATE] for clip in clips[:2])
    path = tmp_path / "talk.flac"
    soundfile.write(path, np.stack([one, other], axis=1), SAMPLE_RATE)
    return path


def test_two_speakers_are_one_transcript(conversation: Path, tiny_bundle: Path) -> None:
    spoken = Recognizer.load(tiny_bundle, "auto").transcribe(conversation, channels="split")
    assert {word.channel for word in spoken.words} == {1, 2}
    split = (conversation, "--bundle", tiny_bundle, "--channels", "split")
    assert json.loads(transcribe(*split, "--format", "json").stdout) == spoken.to_dict()
    named = transcribe(*split, "--speakers", "left=Ann,right=Bob", "--format", "srt").stdout
    assert named == spoken.to_srt(Layout(speakers="1=Ann,2=Bob"))
    assert "Ann: " in named and "Bob: " in named


def test_a_mix_of_two_voices_says_so_once(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    one, other = (load(clip).samples[: 2 * SAMPLE_RATE] for clip in clips[:2])
    turns = np.zeros((len(one) + len(other), 2), np.float32)
    turns[: len(one), 0], turns[len(one) :, 1] = one, other
    for name in ("talk.flac", "more.wav"):
        soundfile.write(tmp_path / name, turns, SAMPLE_RATE)
    both = (tmp_path, "--bundle", tiny_bundle, "--dry-run")
    advice = "another voice in each channel"
    done = transcribe(*both)
    assert done.stderr.count(advice) == 1 and "talk.flac\n" in done.stdout
    printed = transcribe(tmp_path / "talk.flac", "--bundle", tiny_bundle)
    assert printed.stderr.count(advice) == 1 and printed.returncode == 0
    for chosen in ("mix", "split", "1"):
        assert advice not in transcribe(*both, "--channels", chosen).stderr


def test_a_channel_and_a_part_of_a_recording(
    conversation: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    part = ("--channels", 2, "--start", 0.5, "--duration", 2, "--format", "json")
    done = transcribe(conversation, "--bundle", tiny_bundle, *part)
    recognizer = Recognizer.load(tiny_bundle, "auto")
    spoken = recognizer.transcribe(conversation, channels=2, start=0.5, duration=2.0)
    assert json.loads(done.stdout) == spoken.to_dict() and spoken.start == 0.5
    out = tmp_path / "out"
    done = transcribe(conversation, "--bundle", tiny_bundle, *part, "--output", out)
    assert json.loads((out / "talk.json").read_text()) == spoken.to_dict()
    done = transcribe(conversation, "--bundle", tiny_bundle, "--channels", 3)
    assert done.returncode == 2 and "channels 3 is not in" in done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--speakers", "left=Ann"), "speakers have no effect where channels are mixed"),
        (("--channels", "both"), "channels 'both' are not known: choose mix, split, or"),
        (("--channels", "split", "--nbest", 2, "--format", "json", "--decoder", "beam"), "nbest"),
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
