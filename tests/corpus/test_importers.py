"""Corpora become manifests; what cannot is named with its place."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import layouts
import pytest

from asr.corpus import read_manifest
from asr.text import normalise

ASR = [sys.executable, "-c", "from asr.cli import main; main()"]
TEXTS = [normalise(clip["text"]) for clip in layouts.CLIPS]


def asr(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*ASR, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def refused(done: subprocess.CompletedProcess[str], out: Path) -> str:
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert not out.exists()
    return done.stderr


def test_librispeech_becomes_a_manifest_for_each_subset(tmp_path: Path) -> None:
    layouts.librispeech(tmp_path, "train-clean-5", layouts.CLIPS[:3])
    layouts.librispeech(tmp_path, "dev-clean-2", layouts.CLIPS[3:5])
    out = tmp_path / "manifests"
    done = asr("data", "librispeech", tmp_path, out)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {"train-clean-5.jsonl", "dev-clean-2.jsonl"}
    lines = rows(out / "train-clean-5.jsonl")
    assert [line["text"] for line in lines] == TEXTS[:3]
    assert [line["speaker"] for line in lines] == ["1", "2", "3"]
    assert lines[0]["id"] == "1-100-0000"
    assert lines[0]["corpus"] == "LibriSpeech train-clean-5"
    assert not any(Path(line["audio"]).is_absolute() for line in lines)
    shutil.move(tmp_path, tmp_path.with_name("moved"))  # manifests move with their corpus
    utterances, _ = read_manifest(tmp_path.with_name("moved") / "manifests" / "train-clean-5.jsonl")
    assert all(utterance.audio.is_file() for utterance in utterances)


def test_a_missing_flac_or_text_is_named_and_the_rest_taken(tmp_path: Path) -> None:
    folder = layouts.librispeech(tmp_path, "dev-clean", layouts.CLIPS[:4])
    (folder / "dev-clean/1/100/1-100-0000.flac").unlink()
    (folder / "dev-clean/2/100/2-100.trans.txt").write_text("2-100-0000\n", encoding="utf-8")
    done = asr("data", "librispeech", folder, tmp_path / "out")
    assert done.returncode == 1
    assert "1-100.trans.txt:1: there is no file" in done.stderr
    assert "2-100.trans.txt:1: its text is empty" in done.stderr
    assert [line["text"] for line in rows(tmp_path / "out" / "dev-clean.jsonl")] == TEXTS[2:4]


def test_common_voice_keeps_speakers_and_accents(tmp_path: Path) -> None:
    folder = layouts.common_voice(tmp_path / "en", "train", layouts.CLIPS[:3])
    done = asr("data", "commonvoice", folder, tmp_path / "out", "--split", "train")
    assert done.returncode == 0, done.stderr
    lines = rows(tmp_path / "out" / "train.jsonl")
    assert [line["text"] for line in lines] == TEXTS[:3]  # its quotation marks are no table's
    assert [line["speaker"] for line in lines] == ["c0", "c1", "c2"]
    assert lines[0]["accent"] == "US English" and "gender" not in lines[0]
    refused(asr("data", "commonvoice", folder, tmp_path / "no"), tmp_path / "no" / "dev.jsonl")


@pytest.mark.parametrize("suffix", [".txt", ".lab"])
def test_a_folder_with_texts_beside_its_recordings(tmp_path: Path, suffix: str) -> None:
    for clip, text in zip(layouts.CLIPS[:3], TEXTS, strict=False):
        shutil.copy(layouts.TRAIN / clip["audio"], tmp_path)
        beside = (tmp_path / clip["audio"]).with_suffix(suffix)
        beside.write_text(f"{text.title()}.\n", encoding="utf-8")
    shutil.copy(layouts.TRAIN / layouts.CLIPS[4]["audio"], tmp_path / "alone.opus")
    done = asr("data", "folder", tmp_path, tmp_path / "out.jsonl")
    assert done.returncode == 1 and "alone.opus: it has no text beside it" in done.stderr
    assert sorted(line["text"] for line in rows(tmp_path / "out.jsonl")) == sorted(TEXTS[:3])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("texts.csv", 'Path,Text\n{0},"So, it is"\nmissing.wav,gone\n'),
        ("texts.tsv", "file\tsentence\n{0}\tSo, it is\nmissing.wav\tgone\n"),
        (
            "texts.jsonl",
            '{{"audio": "{0}", "text": "So, it is"}}\n{{"audio": "missing.wav", "text": "gone"}}\n',
        ),
    ],
)
def test_a_folder_with_a_table(tmp_path: Path, name: str, content: str) -> None:
    clip = layouts.CLIPS[0]["audio"]
    shutil.copy(layouts.TRAIN / clip, tmp_path)
    (tmp_path / name).write_text("\ufeff" + content.format(clip), encoding="utf-8")
    done = asr("data", "folder", tmp_path, tmp_path / "out" / "made.jsonl")
    assert done.returncode == 1 and "missing.wav" in done.stderr
    (line,) = rows(tmp_path / "out" / "made.jsonl")
    assert line["text"] == "so it is" and line["audio"] == f"../{clip}"


def test_a_manifest_is_copied_by_corpus(tmp_path: Path) -> None:
    source = layouts.TRAIN / "manifest.jsonl"
    wanted = layouts.CLIPS[0]["corpus"]
    done = asr("data", "jsonl", source, tmp_path / "part.jsonl", "--corpus", wanted)
    assert done.returncode == 0, done.stderr
    lines = rows(tmp_path / "part.jsonl")
    assert lines and {line["corpus"] for line in lines} == {wanted}
    assert lines[0]["duration"] == layouts.CLIPS[0]["duration"]


def test_where_no_line_is_good_nothing_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no recordings" in refused(asr("data", "folder", empty, out), out)
    (empty / "noise.wav").write_bytes(b"RIFF")
    assert "no text beside it" in refused(asr("data", "folder", empty, out), out)
    assert "no folder" in refused(asr("data", "folder", tmp_path / "absent", out), out)
    refused(asr("data", "librispeech", empty, out), out)
    (tmp_path / "bad.jsonl").write_text('{"audio": 3}\nnonsense\n', encoding="utf-8")
    assert "bad.jsonl:2" in refused(asr("data", "jsonl", tmp_path / "bad.jsonl", out), out)


def test_pseudo_labels_go_on_where_they_stopped(tmp_path: Path, tiny_bundle: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for clip in layouts.CLIPS[:4]:
        shutil.copy(layouts.TRAIN / clip["audio"], clips)
    (clips / "broken.wav").write_bytes(b"RIFF")
    out, journal = tmp_path / "heard.jsonl", tmp_path / "heard.jsonl.journal"
    command = ("data", "pseudo-label", clips, out, "--bundle", tiny_bundle, "--device", "cpu")
    done = asr(*command)
    assert done.returncode == 1 and "broken.wav" in done.stderr
    lines = rows(out)
    assert all(line["text"] and 0 <= line["confidence"] <= 1 for line in lines)
    whole = journal.read_text(encoding="utf-8")
    kept = whole.splitlines(keepends=True)
    # As a kill would leave it: two clips done, the third half written.
    journal.write_text("".join(kept[:3]) + kept[3][:20], encoding="utf-8")
    assert asr(*command).returncode == 1
    assert rows(out) == lines
    assert sorted(journal.read_text(encoding="utf-8").splitlines()) == sorted(whole.splitlines())
    highest = max(line["confidence"] for line in lines)
    few = asr(*command, "--threshold", highest)
    assert few.stderr.count("is below") == sum(line["confidence"] < highest for line in lines)
    assert [line["confidence"] for line in rows(out)] == [highest]
    other = asr(*command[:4], "--device", "cpu")  # the shipped bundle
    assert other.returncode == 2 and "another bundle" in other.stderr
