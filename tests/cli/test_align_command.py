"""`asr align`: times of a known text in every format, and clips to train on."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import asr

from asr.audio import SAMPLE_RATE, load
from asr.corpus import read_manifest
from asr.runtime import Recognizer
from asr.transcript import write

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "samples" / "1272-141231-0000.flac"
TEXT = "A man said to the Universe: Sir, I exist!"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(f"\ufeff{TEXT} Nobody replied.\n", encoding="utf-8")
    return path


def test_every_format_is_what_python_writes(text: Path, tmp_path: Path) -> None:
    found = Recognizer.load().align(CLIP, text.read_text("utf-8-sig"))
    done = asr("align", CLIP, text)
    assert done.returncode == 0 and done.stdout == write(found, "ctm", CLIP.stem)
    assert done.stderr == "asr: 2 of 11 words not found\n"
    longer = tmp_path / "longer.txt"
    longer.write_text(f"{TEXT} {'12 ' * 1_200}")
    assert asr("align", CLIP, longer).stderr == "asr: 1,200 of 1,209 words not found\n"
    assert asr("align", CLIP, text, "--format", "json").stdout == write(found, "json")
    for suffix in ("srt", "TextGrid"):
        out = tmp_path / f"new/talk.{suffix}"
        assert asr("align", CLIP, text, "--output", out).returncode == 0
        assert out.read_text("utf-8") == write(found, suffix.lower())


def test_clips_are_cut_with_their_texts(tmp_path: Path) -> None:
    lines = (ROOT / "samples" / "transcripts.jsonl").read_text(encoding="utf-8").splitlines()
    values = [json.loads(line) for line in lines][:3]
    sounds = [load(ROOT / "samples" / one["audio"]).samples for one in values]
    silence = np.zeros(SAMPLE_RATE, np.float32)
    long = tmp_path / "long.wav"
    soundfile.write(long, np.concatenate([x for s in sounds for x in (s, silence)]), SAMPLE_RATE)
    text = tmp_path / "long.txt"
    # The second clip's text is missing.
    text.write_text(f"{values[0]['text']}\n{values[2]['text']}\n", encoding="utf-8")
    done = asr("align", long, text, "--cut", tmp_path / "out", "--least", 0)
    assert done.returncode == 0, done.stderr
    manifest = tmp_path / "out" / "manifest.jsonl"
    assert done.stdout == f"{manifest}\n" and "clips of" in done.stderr
    utterances, findings = read_manifest(manifest)
    assert not findings and utterances
    spoken = " ".join(utterance.text for utterance in utterances).split()
    assert set(spoken) <= set(f"{values[0]['text']} {values[2]['text']}".lower().split())
    for utterance in utterances:
        assert load(utterance.audio).duration == pytest.approx(utterance.duration or 0, abs=0.001)
    first = Recognizer.load().transcribe(utterances[0].audio).text.split()
    assert len(set(first) & set(spoken)) >= len(first) / 2


def test_no_clip_has_a_text_with_words_left_out_of_its_middle(tmp_path: Path) -> None:
    """Where a word is not found among words that follow at once, its sound may be theirs."""
    clip, text = ROOT / "samples" / "1272-141231-0000.flac", tmp_path / "text.txt"
    words = ["the", "man", "said", "to", "the", "universe", "sir", "i", "exist"]
    text.write_text(" ".join([*words[:5], "zyzzyva", *words[5:]]), encoding="utf-8")
    assert asr("align", clip, text).stderr == "asr: 1 of 10 words not found\n"
    done = asr("align", clip, text, "--cut", tmp_path / "out", "--least", 0)
    assert done.returncode == 0, done.stderr
    utterances, _ = read_manifest(tmp_path / "out" / "manifest.jsonl")
    assert [utterance.text for utterance in utterances] == ["sir i exist"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--format", "docx"), "format 'docx' is not known"),
        (("--output", "talk"), "format '' is not known"),
        (("--output", "a.srt", "--format", "srt"), "--format has no effect with --output"),
        (("--cut", "out", "--format", "srt"), "--cut writes clips and no transcript"),
        (("--least", "0.5"), "--least has no effect without --cut"),
        (("--timestamps",), "timestamps has no effect on ctm"),
    ],
)
def test_options_that_cannot_be_are_refused(
    text: Path, options: tuple[str, ...], sentence: str
) -> None:
    done = asr("align", CLIP, text, *options)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"asr: {sentence}") and done.stderr.count("\n") == 1


def test_texts_and_recordings_that_cannot_be_read_are_named(text: Path, tmp_path: Path) -> None:
    for arguments, reason in (
        ((CLIP, tmp_path / "none.txt"), "none.txt cannot be read (No such file"),
        ((tmp_path / "none.wav", text), "none.wav does not exist"),
        ((CLIP, CLIP), "it is not UTF-8"),
    ):
        done = asr("align", *arguments)
        assert done.returncode == 2 and reason in done.stderr and done.stderr.count("\n") == 1


def test_a_text_has_no_speakers_by_channel(text: Path) -> None:
    done = asr("align", CLIP, text, "--format", "srt", "--speakers", "left=Ann")
    assert done.returncode == 2 and "No such option: --speakers" in done.stderr
