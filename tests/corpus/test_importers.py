"""Corpora become manifests; lines that cannot be used are named with their place."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest
import soundfile
from commands import asr

from asr.audio import load
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
    # Texts are looked for beside the recordings again, not in the manifest of before.
    again = asr("data", "folder", tmp_path, "out.jsonl", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (done.returncode, done.stderr)


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take no such names")
def test_links_to_folders_are_followed_once_and_a_locked_folder_is_named(tmp_path: Path) -> None:
    for name in ("root/one", "store/two", "root/locked/three"):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(800), 16_000)
        path.with_suffix(".txt").write_text("said")
    (tmp_path / "root" / "more").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "back").symlink_to(tmp_path / "root")
    locked, code = tmp_path / "root" / "locked", "from asr.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "data",
        "folder",
        tmp_path / "root",
        tmp_path / "m.jsonl",
    ]
    if os.geteuid() == 0:  # who may list everything, unless it is taken away
        if (setpriv := shutil.which("setpriv")) is None:
            pytest.skip("root may list everything")
        lost = "--bounding-set=-dac_override,-dac_read_search"
        command = [setpriv, "--inh-caps=-all", lost, *command]
    locked.chmod(0)
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        locked.chmod(0o755)
    assert done.returncode == 1, done.stderr
    assert f"{locked} cannot be listed (Permission denied): check its permissions" in done.stderr
    utterances, _ = read_manifest(tmp_path / "m.jsonl")
    assert [utterance.id for utterance in utterances] == ["more/two", "one"]


def test_a_name_that_is_no_text_is_left_out_alone(tmp_path: Path, tiny_bundle: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("fine", os.fsdecode(b"caf\xe9")):
        shutil.copy(layouts.TRAIN / layouts.CLIPS[0]["audio"], folder / f"{name}.opus")
        (folder / f"{name}.txt").write_text("so it is", encoding="utf-8")
    for command in (("folder",), ("pseudo-label", "--bundle", tiny_bundle)):
        out = tmp_path / f"{command[0]}.jsonl"
        done = asr("data", command[0], folder, out, *command[1:])
        assert done.returncode == 1 and "its name is no UTF-8: rename it" in done.stderr
        assert "Traceback" not in done.stderr
    assert [line["audio"] for line in rows(tmp_path / "folder.jsonl")] == ["in/fine.opus"]


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


def test_what_a_table_does_not_name_or_names_twice_is_named(tmp_path: Path) -> None:
    clips = [layouts.CLIPS[number]["audio"] for number in range(3)]
    for clip in clips:
        shutil.copy(layouts.TRAIN / clip, tmp_path)
    lines = ["file;sentence", f"{clips[0]};one", f"{clips[1]};", f"./{clips[0]};another"]
    table = tmp_path / "texts.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    done = asr("data", "folder", tmp_path, tmp_path / "out.json")
    assert done.returncode == 1 and len(rows(tmp_path / "out.json")) == 1
    assert f"{table}:4: {table}:2 has the text of its recording already" in done.stderr
    assert f"{tmp_path / clips[2]}: no row of a table names it" in done.stderr
    assert f"{table}:3: its text is empty" in done.stderr and clips[1] not in done.stderr
    done = asr("data", "folder", table, tmp_path / "out.json")  # which alone says what is meant
    assert done.returncode == 1 and clips[2] not in done.stderr


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


def test_speakers_are_set_apart_and_stay_there(tmp_path: Path) -> None:
    source, most, apart = (tmp_path / name for name in ("all.jsonl", "most.jsonl", "apart.jsonl"))
    clip = layouts.CLIPS[0]
    said = {"audio": str(layouts.TRAIN / clip["audio"]), "text": clip["text"]}
    sides: dict[str, Path] = {}
    for speakers in (40, 200):  # the corpus grows
        lines = [{**said, "speaker": f"s{n % speakers}"} for n in range(2 * speakers)]
        source.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        done = asr("data", "split", source, most, apart)
        assert done.returncode == 0, done.stderr
        found = {path: {line["speaker"] for line in rows(path)} for path in (most, apart)}
        assert not found[most] & found[apart]
        assert len(rows(most)) + len(rows(apart)) == 2 * speakers
        assert 0.1 * speakers < len(found[apart]) < 0.3 * speakers
        assert all(speaker in found[side] for speaker, side in sides.items())
        sides = {speaker: side for side, names in found.items() for speaker in names}
    for same in ((source, source, apart), (source, most, most), (source, most, source)):
        before = source.read_bytes(), most.read_bytes()
        done = asr("data", "split", *same)
        assert done.returncode == 2 and "must be three files" in done.stderr
        assert (source.read_bytes(), most.read_bytes()) == before
    assert "no speakers" not in done.stderr
    source.write_text("".join(f"{json.dumps({**said, 'id': f'c{n}'})}\n" for n in range(40)))
    assert "names no speakers" in asr("data", "split", source, most, apart).stderr
    source.write_text(json.dumps(said), encoding="utf-8")
    none = asr("data", "split", source, most, tmp_path / "none.jsonl")
    assert "too few speakers to set 20% of them apart" in refused(none, tmp_path / "none.jsonl")


def test_a_text_in_another_encoding_is_left_out_alone(tmp_path: Path) -> None:
    for number, text in enumerate((b"caf\xe9 noir", b"plain words")):
        audio = tmp_path / f"{number}.opus"
        shutil.copy(layouts.TRAIN / layouts.CLIPS[0]["audio"], audio)
        audio.with_suffix(".txt").write_bytes(text)
    done = asr("data", "folder", tmp_path, tmp_path / "out.jsonl")
    assert done.returncode == 1 and "0.txt is not utf-8" in done.stderr
    assert [line["text"] for line in rows(tmp_path / "out.jsonl")] == ["plain words"]


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
        ("t.csv", b"path,text\n\xff\xfe,y\n", "t.csv is not utf-8"),
        ("t.csv", b"", "there are no recordings"),
        ("t.tsv", b"path\ttext\n\n1.wav\n", "there is no file"),
        ("t.csv", b"Datei;Text\na.wav;x\nb.wav;y\n", "t.csv: its columns are datei, text: call"),
        ("t.csv", b"path,Satz\na.wav,x\n", "with the texts text or sentence"),
        ("t.csv", b"path,text\na.wav,x, y\n", "t.csv:2: it has more cells than the first line"),
        ("t.csv", b"path,text\n,x\n", "t.csv:2: it has nothing in a column path"),
        ("t.csv", b'path,text\na.wav,x\nb.wav,"y\nc.wav,z\n', "t.csv:3-4: a text begins with"),
        ("t.csv", b'path,text\nb.wav,"y\nc.wav,"z"\n', "t.csv:2-3: a text begins with"),
        ("t.jsonl", b"[1]\nnull\n", "t.jsonl:2: it has nothing in a column path"),
    ],
)
def test_a_broken_table_is_a_sentence(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    out = tmp_path / "deep" / "out.jsonl"
    assert words in refused(asr("data", "folder", tmp_path, out), out.parent)


def test_a_text_of_several_lines_keeps_its_words_apart(tmp_path: Path) -> None:
    first, second = (clip["audio"] for clip in layouts.CLIPS[:2])
    shutil.copy(layouts.TRAIN / first, tmp_path)
    shutil.copy(layouts.TRAIN / second, tmp_path)
    table = f'path,text\n\n{first},"one\ntwo, three"\n\n{second},"Hello" she said\n'
    (tmp_path / "t.csv").write_text(table, encoding="utf-8")
    assert asr("data", "folder", tmp_path, tmp_path / "out.jsonl").returncode == 0
    texts = [line["text"] for line in rows(tmp_path / "out.jsonl")]
    assert texts == ["one two three", "hello she said"]


def test_a_recording_that_is_none_is_named_once(tmp_path: Path) -> None:
    clip = layouts.CLIPS[0]["audio"]
    shutil.copy(layouts.TRAIN / clip, tmp_path)
    os.mkfifo(tmp_path / "pipe.wav")
    for name in (clip, "pipe.wav"):
        (tmp_path / name).with_suffix(".txt").write_text("a text", encoding="utf-8")
    done = asr("data", "folder", tmp_path, tmp_path / "out.jsonl")
    assert done.stderr.startswith(f"{tmp_path / 'pipe.wav'} is not a regular file: ")


def test_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    clip = layouts.CLIPS[0]["audio"]
    shutil.copy(layouts.TRAIN / clip, tmp_path)
    table = f"file;text;Sprecher;start\n{clip};hallo;Eva;0\n{clip};so;Udo;1\n"
    (tmp_path / "t.csv").write_text(table, encoding="utf-8")
    done = asr("data", "folder", tmp_path, tmp_path / "out.jsonl")
    assert done.returncode == 0
    assert done.stderr.count("t.csv: columns not read: sprecher; ") == 1


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


def test_pseudo_labels_are_plain_and_keep_what_is_known_of_a_clip(
    tmp_path: Path, written_bundle: Path
) -> None:
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
        written_bundle,
        "--device",
        "cpu",
    )
    assert done.returncode == 0, done.stderr
    assert [(line["id"], line["speaker"], line["corpus"]) for line in rows(out)] == [
        ("c0", "s", "x"),
        ("c1", "s", "x"),
    ]
    assert {"confidence", "duration", "text"} <= rows(out)[0].keys()
    heard = (tmp_path / "out.jsonl.journal").read_text(encoding="utf-8").splitlines()[1:]
    texts = [json.loads(line)["text"] for line in heard]
    assert all(texts) and texts == [normalise(text) for text in texts]


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
        assert ("that lost digits or signs: 2" in done.stderr) == (way == "drop")
    said = refused(
        asr("data", "folder", tmp_path, tmp_path / "no", "--numbers", "guess"), tmp_path / "no"
    )
    assert "choose from refuse, spell, drop" in said


def sounds_like(path: Path, clips: list[dict[str, str]]) -> bool:
    """Whether each line of a manifest has the sound and the text of the clip in its place."""
    utterances, findings = read_manifest(path)
    assert not findings and len(utterances) == len(clips)
    for utterance, clip in zip(utterances, clips, strict=True):
        expected = load(layouts.TRAIN / clip["audio"]).samples
        assert utterance.text == normalise(clip["text"])
        heard = utterance.load().samples
        assert abs(len(heard) - len(expected)) <= 2
        both = min(len(heard), len(expected))
        np.testing.assert_allclose(heard[:both], expected[:both], atol=1e-3)
    return True


def test_a_kaldi_folder_with_segments(tmp_path: Path) -> None:
    clips = layouts.CLIPS[:3]
    root = layouts.kaldi(tmp_path / "data", clips)
    out = tmp_path / "out.jsonl"
    assert asr("data", "kaldi", root, out).returncode == 0
    assert sounds_like(out, clips)
    assert [line["speaker"] for line in rows(out)] == ["spk0", "spk1", "spk2"]
    with (root / "text").open("a", encoding="utf-8") as file:
        file.write("utt8 no segment\nutt9 no recording\n")
    with (root / "segments").open("a", encoding="utf-8") as file:
        file.write("utt7 rec1 0 1\nutt9 rec9 0 1\n")
    done = asr("data", "kaldi", root, out)
    assert done.returncode == 1 and sounds_like(out, clips)
    for said in (
        "text:4: no line of segments has it", "no line of wav.scp has the recording rec9",
        "segments:4: no line of", "3 left out",
    ):  # fmt: skip
        assert said in done.stderr + done.stdout


def test_a_kaldi_folder_with_tabs_and_lines_that_come_twice(tmp_path: Path) -> None:
    clips = layouts.CLIPS[:2]
    root = layouts.kaldi(tmp_path / "data", clips)
    for table in root.glob("[a-z]*[a-z0-9]"):
        if table.is_file():
            table.write_text(table.read_text(encoding="utf-8").replace(" ", "\t", 1))
    segments = (root / "segments").read_text(encoding="utf-8").splitlines()
    segments[-1] = f"{segments[-1].rpartition(' ')[0]} -1"  # to the end of the recording
    (root / "segments").write_text("\n".join([*segments, "utt7 rec1 nan 1"]), encoding="utf-8")
    with (root / "text").open("a", encoding="utf-8") as file:
        file.write("utt0 other words\nutt7 not a number\n")
    done = asr("data", "kaldi", root, tmp_path / "out.jsonl")
    assert f"{root}/text:3: {root}/text:1 has utt0 already; left out" in done.stderr
    assert "text:4: its line in segments is not" in done.stderr and done.returncode == 1
    assert "2 left out" in done.stdout and sounds_like(tmp_path / "out.jsonl", clips)


def test_a_kaldi_folder_whose_recordings_are_commands(tmp_path: Path) -> None:
    clip = layouts.CLIPS[0]
    (tmp_path / "wav.scp").write_text(
        f"a {layouts.TRAIN / clip['audio']}\nb sph2pipe -f wav b.sph |\n", encoding="utf-8"
    )
    (tmp_path / "text").write_text(f"a {clip['text']}\nb what\n", encoding="utf-8")
    done = asr("data", "kaldi", tmp_path, tmp_path / "out.jsonl")
    assert done.returncode == 1 and "text:2: its recording is made by a command" in done.stderr
    assert sounds_like(tmp_path / "out.jsonl", [clip])
    assert "no wav.scp" in asr("data", "kaldi", tmp_path / "none", tmp_path / "no").stderr


def test_ljspeech_and_its_text_in_words(tmp_path: Path) -> None:
    (tmp_path / "wavs").mkdir()
    clips = layouts.CLIPS[:3]
    for number, clip in enumerate(clips):
        samples = load(layouts.TRAIN / clip["audio"]).samples
        soundfile.write(tmp_path / "wavs" / f"LJ{number}.wav", samples, 16_000)
    lines = [f"LJ0|No. 1|{clips[0]['text']}", f"LJ1|{clips[1]['text']}", "LJ3|gone", "LJ4"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    done = asr("data", "ljspeech", tmp_path, tmp_path / "out.jsonl")
    assert done.returncode == 1 and sounds_like(tmp_path / "out.jsonl", clips[:2])
    for said in (
        "metadata.csv:3: there is no file",
        "metadata.csv:4: it is no line",
        "LJ2.wav: no line",
    ):
        assert said in done.stderr
    assert "no metadata.csv" in asr("data", "ljspeech", tmp_path / "wavs", tmp_path / "no").stderr


def test_a_manifest_of_nemo_with_stretches(tmp_path: Path) -> None:
    clips = layouts.CLIPS[:3]
    recording, times = layouts.long_recording(tmp_path, clips)
    lines = [
        {
            "audio_filepath": recording.name,
            "offset": start,
            "duration": end - start,
            "text": c["text"],
        }
        for c, start, end in zip(clips, times, times[1:], strict=False)
    ]
    lines += [{"text": "no audio"}, {"audio_filepath": "gone.wav", "duration": 1.0, "text": "x"}]
    lines.append({"audio_filepath": recording.name, "offset": "1 s", "duration": 2, "text": "x"})
    (tmp_path / "nemo.json").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    done = asr("data", "nemo", tmp_path / "nemo.json", tmp_path / "out.jsonl")
    assert done.returncode == 1 and sounds_like(tmp_path / "out.jsonl", clips)
    assert "nemo.json:4: it has no `audio_filepath`" in done.stderr
    assert "nemo.json:5: there is no file" in done.stderr
    assert "nemo.json:6: its offset or duration is no number of seconds" in done.stderr


def test_cuts_of_lhotse_that_lhotse_wrote(tmp_path: Path) -> None:
    from lhotse import CutSet, MonoCut, Recording, SupervisionSegment

    clips = layouts.CLIPS[:3]
    recording, times = layouts.long_recording(tmp_path, clips)
    long = Recording.from_file(recording)
    spoken = [
        SupervisionSegment(f"s{n}", long.id, start, end - start, text=clip["text"], speaker=f"p{n}")
        for n, (clip, start, end) in enumerate(zip(clips, times, times[1:], strict=False))
    ]
    whole = MonoCut("whole", 0, long.duration, 0, supervisions=spoken[:2], recording=long)
    last = MonoCut("last", times[2], times[3] - times[2], 0, recording=long)
    last.supervisions = [spoken[2].with_offset(-times[2])]
    silent = MonoCut("silent", 0, 1, 0, recording=long)
    CutSet.from_cuts([whole, last, silent]).to_file(tmp_path / "cuts.jsonl.gz")
    done = asr("data", "lhotse", tmp_path / "cuts.jsonl.gz", tmp_path / "out.jsonl")
    assert done.returncode == 1 and "cuts.jsonl.gz:3: it has no text" in done.stderr
    assert sounds_like(tmp_path / "out.jsonl", clips)
    assert [line["speaker"] for line in rows(tmp_path / "out.jsonl")] == ["p0", "p1", "p2"]


def test_audiofolder_of_hugging_face(tmp_path: Path) -> None:
    clip = layouts.CLIPS[0]
    (tmp_path / "train").mkdir()
    shutil.copy(layouts.TRAIN / clip["audio"], tmp_path / "train")
    table = f'file_name,transcription\n{clip["audio"]},"{clip["text"]}"\n'
    (tmp_path / "train" / "metadata.csv").write_text(table, encoding="utf-8")
    assert asr("data", "folder", tmp_path, tmp_path / "out.jsonl").returncode == 0
    assert sounds_like(tmp_path / "out.jsonl", [clip])


@pytest.mark.parametrize("between", [";", "|", "\t", "~"])
def test_a_german_table_with_any_separator_in_latin_1(tmp_path: Path, between: str) -> None:
    clip = layouts.CLIPS[0]["audio"]
    shutil.copy(layouts.TRAIN / clip, tmp_path)
    rows_of_table = ["datei", "path", "text"], ["x", clip, '"Grüße, Straße"'], ["y", "", "ohne"]
    table = "\n".join(between.join(row) for row in rows_of_table)
    (tmp_path / "texte.csv").write_bytes(table.encode("latin-1"))
    out = tmp_path / "out.jsonl"
    said = refused(asr("data", "folder", tmp_path, out), out)
    assert "texte.csv is not utf-8" in said and "--encoding latin-1" in said
    how = ["--encoding", "latin-1", *(["--separator", between] if between == "~" else [])]
    done = asr("data", "folder", tmp_path, out, "--language", "de", *how)
    assert done.returncode == 1 and "texte.csv:3: it has nothing in a column path" in done.stderr
    assert [line["text"] for line in rows(out)] == ["grüße straße"]
    (tmp_path / "texte.csv").write_bytes(table.encode("utf-16"))
    none = tmp_path / "none.jsonl"
    assert "--encoding utf-16" in refused(asr("data", "folder", tmp_path, none), none)
    assert "choose utf-8, latin-1" in refused(
        asr("data", "folder", tmp_path, none, "--encoding", "klingon"), none
    )


def test_a_table_with_stretches(tmp_path: Path) -> None:
    clips = layouts.CLIPS[:2]
    recording, times = layouts.long_recording(tmp_path, clips)
    lines = ["file;start;end;text"] + [
        f"{recording.name};{start};{end};{clip['text']}"
        for clip, start, end in zip(clips, times, times[1:], strict=False)
    ]
    lines += ["long.wav;soon;;x", "long.wav;2;1;x"]
    (tmp_path / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    done = asr("data", "folder", tmp_path, tmp_path / "out.jsonl")
    assert done.returncode == 1 and sounds_like(tmp_path / "out.jsonl", clips)
    assert "table.csv:4: its start or end is no number" in done.stderr
    assert "table.csv:5: its end 1 s is not after its start 2 s" in done.stderr
