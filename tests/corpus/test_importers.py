"""Corpora become manifests; lines that cannot be used are named with their place."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import layouts
import pytest
from commands import asr

from asr.corpus import read_manifest
from asr.text import normalise

TEXTS = [normalise(clip["text"]) for clip in layouts.CLIPS]


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
    shutil.copy(folder / "dev-clean/3/100/3-100-0000.flac", folder / "dev-clean/3/100/alone.flac")
    done = asr("data", "librispeech", folder, tmp_path / "out")
    assert done.returncode == 1
    assert "1-100.trans.txt:1: there is no file" in done.stderr
    assert "2-100.trans.txt:1: its text is empty" in done.stderr
    assert "alone.flac: no line of a .trans.txt" in done.stderr
    assert [line["text"] for line in rows(tmp_path / "out" / "dev-clean.jsonl")] == TEXTS[2:4]


def test_a_subset_without_a_good_line_stops_no_other(tmp_path: Path) -> None:
    layouts.librispeech(tmp_path, "train-clean-5", layouts.CLIPS[:1])
    layouts.librispeech(tmp_path, "dev-clean-2", layouts.CLIPS[1:2], first=5)
    audio = tmp_path / "LibriSpeech/train-clean-5/1/100/1-100-0000.flac"
    audio.unlink()
    done = asr("data", "librispeech", tmp_path, tmp_path / "out")
    assert done.returncode == 1 and "train-clean-5.jsonl would be good" in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"dev-clean-2.jsonl"}
    only = ("--subset", "train-clean-5")
    refused(asr("data", "librispeech", tmp_path, tmp_path / "no", *only), tmp_path / "no")


def test_common_voice_keeps_speakers_and_accents(tmp_path: Path) -> None:
    folder = layouts.common_voice(tmp_path / "en", "train", layouts.CLIPS[:3])
    done = asr("data", "commonvoice", folder, tmp_path / "out", "--split", "train")
    assert done.returncode == 0, done.stderr
    lines = rows(tmp_path / "out" / "train.jsonl")
    assert [line["text"] for line in lines] == TEXTS[:3]  # its quotation marks are no table's
    assert [line["speaker"] for line in lines] == ["c0", "c1", "c2"]
    assert lines[0]["accent"] == "US English" and "gender" not in lines[0]
    assert asr("data", "commonvoice", folder, tmp_path / "all").returncode == 0
    out = tmp_path / "no"
    said = refused(asr("data", "commonvoice", folder, out, "--split", "dev"), out)
    assert "no dev.tsv; it has train" in said
    assert "no split" in refused(asr("data", "commonvoice", tmp_path, out), out)


@pytest.mark.parametrize("suffix", [".txt", ".lab"])
def test_a_folder_with_texts_beside_its_recordings(tmp_path: Path, suffix: str) -> None:
    for clip, text in zip(layouts.CLIPS[:3], TEXTS, strict=False):
        shutil.copy(layouts.TRAIN / clip["audio"], tmp_path)
        beside = (tmp_path / clip["audio"]).with_suffix(suffix)
        beside.write_text(f"{text.title()}.\n", encoding="utf-8")
    shutil.copy(layouts.TRAIN / layouts.CLIPS[4]["audio"], tmp_path / "alone.opus")
    (tmp_path / f"stray{suffix}").write_text("nobody says it", encoding="utf-8")
    done = asr("data", "folder", tmp_path, tmp_path / "out.jsonl")
    assert done.returncode == 1 and "alone.opus: it has no text beside it" in done.stderr
    assert f"stray{suffix}: it has no recording beside it" in done.stderr
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
    none = asr("data", "jsonl", source, tmp_path / "no.jsonl", "--corpus", "nope")
    assert "has no line of the corpus nope: choose from" in refused(none, tmp_path / "no.jsonl")


@pytest.mark.parametrize("sign", ["7", "½", "£", "€", "%", "&", "@", "#", "="])
def test_what_only_a_reader_could_say_is_named(tmp_path: Path, sign: str) -> None:
    """Left in, no unit could spell it; dropped in silence, the text would not be what is said."""
    for number, text in enumerate(("plain words.", f"about {sign} of it")):
        audio = tmp_path / f"{number}.opus"
        shutil.copy(layouts.TRAIN / layouts.CLIPS[0]["audio"], audio)
        audio.with_suffix(".txt").write_text(text, encoding="utf-8")
    done = asr("data", "folder", tmp_path, tmp_path / "out.jsonl")
    assert done.returncode == 1
    assert f"1.opus: its text has {sign!r}: write what is said there in words" in done.stderr
    assert [line["text"] for line in rows(tmp_path / "out.jsonl")] == ["plain words"]


def test_marks_that_nobody_reads_aloud_are_left_out(tmp_path: Path) -> None:
    shutil.copy(layouts.TRAIN / layouts.CLIPS[0]["audio"], tmp_path / "one.opus")
    (tmp_path / "one.lab").write_text("«Don’t» — she said…\n  (twice!)", encoding="utf-8")
    assert asr("data", "folder", tmp_path, tmp_path / "out.jsonl").returncode == 0
    assert [line["text"] for line in rows(tmp_path / "out.jsonl")] == ["don't she said twice"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"path,text\n" + b"x" * 200_000 + b",y\n", "t.csv:1 is no row"),
        ("t.csv", b"path,text\n\xff\xfe,y\n", "t.csv cannot be read"),
        ("t.csv", b"", "there are no recordings"),
        ("t.tsv", b"path\ttext\n\n1.wav\n", "there is no file"),
        ("t.jsonl", b"[1]\nnull\n", "t.jsonl:2: it has no column path"),
    ],
)
def test_a_broken_table_is_a_sentence(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    out = tmp_path / "deep" / "out.jsonl"
    assert words in refused(asr("data", "folder", tmp_path, out), out.parent)


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    out = tmp_path / "file" / "out.jsonl"
    source = layouts.TRAIN / "manifest.jsonl"
    assert "cannot be written" in refused(asr("data", "jsonl", source, out), out)


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
    bad = tmp_path / "bad.jsonl"
    assert "bad.jsonl:2" in refused(asr("data", "jsonl", bad, out), out)
    assert "no clip" in refused(asr("data", "shards", bad, out), out)
    voices = layouts.common_voice(tmp_path / "en", "train", [])
    (voices / "train.tsv").write_text("path\tsentence\ngone.mp3\thi\n", encoding="utf-8")
    assert "train.tsv:2" in refused(asr("data", "commonvoice", voices, out), out)


def test_where_nothing_is_heard_nothing_is_written(tmp_path: Path, tiny_bundle: Path) -> None:
    out = tmp_path / "heard" / "out.jsonl"
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    command = ("data", "pseudo-label", tmp_path, out, "--bundle", tiny_bundle, "--device", "cpu")
    assert "broken.wav" in refused(asr(*command), out)
    assert not list(out.parent.iterdir())


@pytest.mark.slow
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


def test_pseudo_labels_keep_what_is_known_of_a_clip(tmp_path: Path, tiny_bundle: Path) -> None:
    lines = [
        {"audio": str(layouts.TRAIN / clip["audio"]), "id": f"c{at}", "speaker": "s", "corpus": "x"}
        for at, clip in enumerate(layouts.CLIPS[:2])
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    out = tmp_path / "out.jsonl"
    done = asr(
        "data",
        "pseudo-label",
        tmp_path / "m.jsonl",
        out,
        "--bundle",
        tiny_bundle,
        "--device",
        "cpu",
    )
    assert done.returncode == 0, done.stderr
    assert [(line["id"], line["speaker"], line["corpus"]) for line in rows(out)] == [
        ("c0", "s", "x"),
        ("c1", "s", "x"),
    ]
    assert {"confidence", "duration", "text"} <= rows(out)[0].keys()


def test_numbers_are_refused_spelled_or_dropped(tmp_path: Path) -> None:
    for clip, text in zip(layouts.CLIPS, ("I see 21 cats", "at 10:30", "plain"), strict=False):
        shutil.copy(layouts.TRAIN / clip["audio"], tmp_path)
        (tmp_path / clip["audio"]).with_suffix(".txt").write_text(text, encoding="utf-8")
    expected = {
        "refuse": (1, {"plain"}),
        "spell": (1, {"plain", "i see twenty one cats"}),
        "drop": (0, {"plain", "i see cats", "at"}),
    }
    for way, (code, texts) in expected.items():
        out = tmp_path / f"{way}.out"
        done = asr("data", "folder", tmp_path, out, "--numbers", way)
        assert done.returncode == code and {line["text"] for line in rows(out)} == texts
        assert ("its text has '0', '1', '3'" in done.stderr) == (way != "drop")
    said = refused(
        asr("data", "folder", tmp_path, tmp_path / "no", "--numbers", "guess"), tmp_path / "no"
    )
    assert "choose from refuse, spell, drop" in said
