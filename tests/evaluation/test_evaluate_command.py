"""`asr evaluate` as a user meets it: what it compares, saves and refuses."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import commands
import pytest
from typer.testing import CliRunner

from asr.cli.app import app
from asr.corpus import Finding
from asr.errors import AsrError, BadData
from asr.evaluation import evaluate
from asr.runtime import Recognizer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "samples" / "transcripts.jsonl"


def asr(*arguments: object) -> str:
    """What `asr evaluate` prints, run in this process; its refusals are raised."""
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture(scope="module")
def saved(
    tmp_path_factory: pytest.TempPathFactory, shipped_bundle: Path
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A file of results, and what the terminal showed meanwhile."""
    out = tmp_path_factory.mktemp("results") / "shipped.json"
    given = ["--bundle", shipped_bundle, "--train", MANIFEST, "--json", out]
    done = commands.asr("evaluate", MANIFEST, *given)
    assert done.returncode == 0, done.stderr
    return out, done


def test_figures_come_with_intervals_breakdowns_and_recall(
    saved: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    shown = saved[1].stdout
    for name in ("by level", "by speaker", "by corpus", "words in training", "95 % interval"):
        assert name in shown
    assert saved[1].stderr == ""
    unseen = next(line for line in shown.splitlines() if line.startswith("  unseen"))
    assert unseen.split()[1] == "0"  # the manifest itself was given as training


def test_results_hold_every_clip_and_add_up(
    saved: tuple[Path, subprocess.CompletedProcess[str]], shipped_bundle: Path
) -> None:
    results = json.loads(saved[0].read_text("utf-8"))
    clips = results["clips"]
    lines = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    assert [clip["id"] for clip in clips] == [line["id"] for line in lines]
    assert [clip["text"] for clip in clips] == [line["text"] for line in lines]
    errors, words = (sum(clip[key] for clip in clips) for key in ("errors", "words"))
    assert results["wer"] == pytest.approx(errors / words, abs=1e-6)
    assert words == results["words"]
    assert results["wer_interval"][0] <= results["wer"] <= results["wer_interval"][1]
    again = evaluate(Recognizer.load(shipped_bundle, "cpu"), MANIFEST)
    assert [clip["heard"] for clip in clips] == [clip.hypothesis for clip in again.clips]
    assert f"WER             {again.score.wer:.2%}" in saved[1].stdout


def test_two_systems_are_compared_from_a_file_or_a_bundle(
    saved: tuple[Path, subprocess.CompletedProcess[str]], shipped_bundle: Path, tiny_bundle: Path
) -> None:
    same = asr(MANIFEST, "--bundle", shipped_bundle, "--against", saved[0], "--worst", 0)
    assert "difference      +0.00 points" in same and "p               1.0000" in same
    other = asr(MANIFEST, "--bundle", tiny_bundle, "--against", shipped_bundle, "--worst", 0)
    assert "difference      +" in other and "0 better" in other


def test_a_manifest_without_speakers_works(tmp_path: Path, tiny_bundle: Path) -> None:
    lines = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    manifest = tmp_path / "bare.jsonl"
    bare = [{"audio": str(MANIFEST.parent / line["audio"]), "text": line["text"]} for line in lines]
    manifest.write_text("\n".join(map(json.dumps, bare)), encoding="utf-8")
    shown = asr(manifest, "--bundle", tiny_bundle, "--worst", 0)
    assert "drawn over 6 clips" in shown and "by speaker" not in shown


def test_the_english_normaliser_scores_digits_as_words(tmp_path: Path, tiny_bundle: Path) -> None:
    manifest = tmp_path / "numbers.jsonl"
    line = {"audio": str(MANIFEST.parent / "1272-141231-0000.flac"), "text": "It's 1,200 metres."}
    manifest.write_text(json.dumps(line), encoding="utf-8")
    out = tmp_path / "results.json"
    shown = asr(manifest, "--bundle", tiny_bundle, "--normaliser", "english", "--json", out)
    assert "normaliser      english" in shown
    assert json.loads(out.read_text("utf-8"))["clips"][0]["reference"] == "it is 1200 meters"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--normaliser", "klingon"], "normaliser 'klingon' is not known; choose from plain"),
        (["--normaliser", "english", "--record"], "--record takes plain figures"),
        (["--against", "nowhere"], "no such bundle or file of results"),
        (["--against", str(MANIFEST)], "holds no results"),
        (["--train", "nowhere.jsonl"], "nowhere.jsonl: there is no such manifest"),
        (["--json", str(MANIFEST.parent)], "is a folder: name a file"),
        (["--json", str(MANIFEST)], "would take the place of"),
        (["--json", "/proc/results.json"], "cannot be written"),
        (["--written", "--json", "x", "--beam-size", "8"], "takes no --json and no --beam-size"),
    ],
)
def test_what_cannot_be_is_one_sentence_before_any_work(
    arguments: list[str], named: str, tiny_bundle: Path
) -> None:
    with pytest.raises(AsrError) as refusal:
        asr(MANIFEST, "--bundle", tiny_bundle, *arguments)
    assert named in str(refusal.value) and "\n" not in str(refusal.value)


def test_results_of_another_manifest_are_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"clips": [{"id": "x", "heard": "y"}]}', encoding="utf-8")
    with pytest.raises(AsrError, match="lacks 6 of the 6 clips"):
        asr(MANIFEST, "--bundle", tiny_bundle, "--against", other)


def test_words_that_no_model_can_write_are_told(tmp_path: Path, tiny_bundle: Path) -> None:
    manifest = tmp_path / "numbers.jsonl"
    line = {"audio": str(MANIFEST.parent / "1272-141231-0000.flac"), "text": "It's 23 metres."}
    manifest.write_text(json.dumps(line), encoding="utf-8")
    done = CliRunner().invoke(app, ["evaluate", str(manifest), "--bundle", str(tiny_bundle)])
    assert done.exit_code == 0
    assert "the model cannot write 1 of 3 words of the texts (23)" in done.stderr


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of docs/evaluation.md, in its order, where their output disturbs nobody."""
    for name in ("samples", "tests/data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        assert "WER  " in asr(*line.removeprefix("asr evaluate ").split())
    assert (tmp_path / "first.json").is_file()


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """The samples, of which one is cut off, one empty, one no sound and one missing."""
    folder = Path(shutil.copytree(MANIFEST.parent, tmp_path / "samples"))
    first, second, third, fourth, *_ = [
        json.loads(row)["audio"] for row in MANIFEST.read_text("utf-8").splitlines()
    ]
    (folder / first).write_bytes((folder / first).read_bytes()[:9000])
    (folder / second).write_bytes(b"")
    (folder / third).write_text("no sound")
    (folder / fourth).unlink()
    return folder / MANIFEST.name


def test_recordings_that_cannot_be_read_are_named_and_the_others_scored(
    damaged: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    out, whole = tmp_path / "results.json", tmp_path / "whole.json"
    given = ["evaluate", str(damaged), "--bundle", str(tiny_bundle), "--worst", "0"]
    done = CliRunner().invoke(app, [*given, "--json", str(out), "--record"])
    assert done.exit_code == 1, done.output
    assert "clips           2 of 6, 4 could not be read" in done.stdout
    named = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in named[:4]] == [f"{damaged}:{n}" for n in range(1, 5)]
    reasons = ("damaged", "empty", "not a recording", "does not exist")
    assert all(why in line for why, line in zip(reasons, named[:4], strict=True)), named
    assert named[4:] == ["the figure is not recorded, since some clips could not be read"]
    results = json.loads(out.read_text("utf-8"))
    asr(MANIFEST, "--bundle", tiny_bundle, "--json", whole)
    assert results["clips"] == json.loads(whole.read_text("utf-8"))["clips"][4:]
    assert [clip["line"] for clip in results["failed"]] == [1, 2, 3, 4]
    for against in (out, whole, tiny_bundle):
        compared = CliRunner().invoke(app, [*given, "--against", str(against)])
        assert compared.exit_code == 1 and "0 better, 0 worse, 2 alike" in compared.stdout
        assert len(compared.stderr.splitlines()) == 4
    first = json.loads(MANIFEST.read_text("utf-8").splitlines()[0])["audio"]
    shutil.copy(MANIFEST.parent / first, damaged.parent)
    refused = CliRunner().invoke(app, [*given, "--against", str(out)])
    assert "lacks 1 of the 3 clips" in str(refused.exception) and not refused.stderr  # at once


def test_in_python_all_recordings_are_read_unless_told_otherwise(
    damaged: Path, tiny_bundle: Path
) -> None:
    """So that two evaluations, as of what is adapted, are of the same clips."""
    recognizer = Recognizer.load(tiny_bundle, "cpu")
    told: list[Finding] = []
    with pytest.raises(BadData, match=rf"^{damaged}:1: .* or damaged.*[^.]\.$"):
        evaluate(recognizer, damaged)
    found = evaluate(recognizer, damaged, unread=lambda _, why: told.append(why))
    assert list(found.failed.values()) == told and len(told) == 4 and len(found.clips) == 2


def test_where_no_recording_can_be_read_nothing_could_be_done(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    shutil.copy(MANIFEST, tmp_path)
    done = commands.asr("evaluate", tmp_path / MANIFEST.name, "--bundle", tiny_bundle)
    assert done.returncode == 2 and not done.stdout
    *named, last = done.stderr.splitlines()
    assert len(named) == 6 and "none of its recordings can be read" in last


def texts_of_manifest(path: Path) -> Path:
    """The texts of the manifest as people write them."""
    rows = [json.loads(row) for row in MANIFEST.read_text("utf-8").splitlines()]
    texts = [{"id": row["id"], "written": f"{row['text'].capitalize()}."} for row in rows]
    path.write_text("\n".join(map(json.dumps, texts)))
    return path


def test_where_no_recording_can_be_read_no_marks_are_scored(
    written_bundle: Path, tmp_path: Path
) -> None:
    shutil.copy(MANIFEST, tmp_path)
    written, recordings = texts_of_manifest(tmp_path / "written.jsonl"), tmp_path / MANIFEST.name
    given = ["--written", "--recordings", recordings, "--bundle", written_bundle]
    done = commands.asr("evaluate", written, *given)
    assert done.returncode == 2 and not done.stdout
    *named, last = done.stderr.splitlines()
    assert len(named) == 6 and "none of its recordings can be read" in last


def test_marks_are_scored_of_the_recordings_that_can_be_read(
    damaged: Path, written_bundle: Path, tmp_path: Path
) -> None:
    written = texts_of_manifest(tmp_path / "written.jsonl")
    given = ["evaluate", str(written), "--written", "--recordings", str(damaged)]
    done = CliRunner().invoke(app, [*given, "--bundle", str(written_bundle)])
    assert done.exit_code == 1 and "recognised words: " in done.stdout
    assert len(done.stderr.splitlines()) == 4
