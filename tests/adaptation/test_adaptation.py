"""`asr adapt`: minutes of speech -> a bundle that knows it, or nothing and the reason."""

import json
import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from commands import asr
from runs import command_line, ended, start

from asr.adaptation.material import gather
from asr.adaptation.recipe import Recipe
from asr.adaptation.run import between
from asr.bundle import Bundle, default_bundle
from asr.training.checkpoint import Checkpoint

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
PAGE = (ROOT / "docs" / "adapt.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
TRAIN, CLIPS = DATA / "train" / "manifest.jsonl", DATA / "clips" / "check-clips.jsonl"


def lines(manifest: Path) -> Iterator[dict[str, str]]:
    """The lines of a manifest, their recordings by whole paths."""
    for line in manifest.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        yield values | {"audio": str((manifest.parent / values["audio"]).resolve())}


SPEECH = [*lines(TRAIN), *lines(CLIPS)]


def recordings(folder: Path, speech: list[dict[str, str]]) -> Path:
    """A folder of recordings, each with its text beside it."""
    folder.mkdir()
    for line in speech:
        copy = Path(shutil.copy(line["audio"], folder))
        copy.with_suffix(".txt").write_text(line["text"], encoding="utf-8")
    return folder


def manifest(path: Path, speech: list[dict[str, str]]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in speech), encoding="utf-8")
    return path


def texts(part: Path) -> set[str]:
    return {line["text"] for line in lines(part)}


def changed(bundle: Path) -> set[str]:
    """The files that are not those of the bundle that ships."""
    after = Bundle.open(bundle).info.checksums
    before = Bundle.open(default_bundle()).info.checksums
    return {name for name, checksum in before.items() if after[name] != checksum}


@pytest.mark.slow
def test_the_commands_of_the_page_make_a_bundle_that_reads_better(tmp_path: Path) -> None:
    """Tested on the very speech that it learns from, so that something is gained for sure."""
    adapt, transcribe = COMMANDS
    folder, out = recordings(tmp_path / "mine", SPEECH[10:18]), tmp_path / "my_voice"
    shutil.copy(SPEECH[10]["audio"], folder / "one.wav")  # of any format, whatever its name
    old = manifest(tmp_path / "old.jsonl", SPEECH[:2])
    done = asr(*adapt, "--test", folder, "--old", old, "--epochs", 5, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "one.wav: it has no text beside it" in done.stderr
    assert "also learnt from: 8 of the 8 clips to test on, whose errors" in done.stderr
    assert "to learn from (8 clips)" in done.stdout and "written         my_voice" in done.stdout
    assert "new speech      WER" in done.stdout and "old speech      WER" in done.stdout
    said = asr(*transcribe, cwd=tmp_path)
    assert said.returncode == 0 and said.stdout.split()
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "old.jsonl", "my_voice"}
    before, after = Bundle.open(default_bundle()), Bundle.open(out)
    assert after.info.name == "my_voice" and after.info.training.before == before.info.training
    for kept in ("decoding", "calibration", "punctuation"):
        assert getattr(after.info, kept) == getattr(before.info, kept), kept
    weights = {"model.onnx", "model.safetensors"}
    assert changed(out) == weights | {"lm.npz", "lexicon.txt"}
    assert {figure.manifest: figure.command for figure in after.info.figures} == {
        "mine": "asr adapt mine",
        "old.jsonl": "asr adapt mine",
    }
    assert "new words       1: d'avrigny" in done.stdout
    assert "d'avrigny\t" in (out / "lexicon.txt").read_text(encoding="utf-8")
    assert before.info.lm is not None and after.info.lm is not None
    mixed = "mixed with 3% of the texts of the speech it was adapted to"
    assert after.info.lm["sources"] == f"{before.info.lm['sources']}; {mixed}"
    assert "recordings of its user's own" in (out / "README.md").read_text(encoding="utf-8")
    other = tmp_path / "same_lm"
    done = asr("adapt", folder, "-o", other, "--test", folder, "--epochs", 5, "--keep-lm")
    assert done.returncode == 0, done.stderr
    assert "new words" not in done.stdout and changed(other) == weights


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "reason"),
    [((), "no fewer errors of"), (("--epochs", "1", "--rehearsal"), "give more speech")],
    ids=["stopped", "measured"],
)
def test_where_nothing_is_gained_nothing_is_written(
    more: tuple[str, ...], reason: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    """Random weights learn no word in so short a time."""
    folder, out = recordings(tmp_path / "mine", SPEECH[:20]), tmp_path / "out" / "voice"
    rehearsal = [str(manifest(tmp_path / "again.jsonl", SPEECH[20:]))] if more else []
    done = asr("adapt", folder, "-o", out, "--bundle", tiny_bundle, *more, *rehearsal)
    assert done.returncode == 1, done.stderr
    assert "nothing was gained" in done.stderr and reason in done.stderr
    assert "Traceback" not in done.stderr and "written" not in done.stdout
    assert not out.exists() and not list(tmp_path.glob("out/.*"))


def test_bad_input_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    few = recordings(tmp_path / "few", SPEECH[:2])
    foreign = recordings(tmp_path / "foreign", [{**SPEECH[0], "text": "große Übung"}])
    silent = recordings(tmp_path / "silent", SPEECH[:2])
    for text in silent.glob("*.txt"):
        text.unlink()
    headless = Path(shutil.copytree(tiny_bundle, tmp_path / "headless"))
    (headless / "model.safetensors").unlink()
    for source, bundle, words in (
        (few, tiny_bundle, "too little to learn from and to test on: give 30 s"),
        (foreign, tiny_bundle, "cannot spell 'ß': the bundle's language is English"),
        (silent, tiny_bundle, "has no recording with a text"),
        (tmp_path / "gone", tiny_bundle, "name a folder of recordings, a table or a manifest"),
        (few, headless, "model.safetensors cannot be read"),
    ):
        done = asr("adapt", source, "-o", tmp_path / "out", "--bundle", bundle)
        assert done.returncode == 2 and words in done.stderr, done.stderr
        assert not (tmp_path / "out").exists() and not done.stdout
    (tmp_path / "file").touch()
    for out, more, words in (
        (tiny_bundle, (), "is there already"),
        (tmp_path / "file" / "out", (), "file/out cannot be written"),
        (tmp_path / "out", ("--old", few), "few is no manifest"),
        (tmp_path / "out", ("--rehearsal", tmp_path / "file"), "for --old or --rehearsal: it has"),
        (tmp_path / "out", ("--device", "tpu"), "device 'tpu' is not known"),
    ):
        done = asr("adapt", few, "-o", out, "--bundle", tiny_bundle, *more)
        assert done.returncode == 2 and words in done.stderr, done.stderr
        assert "reading" not in done.stderr
    Bundle.open(tiny_bundle)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_adaptation_leaves_no_bundle(
    number: signal.Signals, tiny_bundle: Path, tmp_path: Path
) -> None:
    """Nor advice on what nobody keeps: one of the texts would be worth a warning of `asr fit`."""
    speech = [SPEECH[0] | {"text": "a"}, *SPEECH[1:20]]
    folder, out = recordings(tmp_path / "mine", speech), tmp_path / "out" / "voice"
    command = ["asr", "adapt", str(folder), "-o", str(out), "--bundle", str(tiny_bundle)]
    command += ["--epochs", "100000"]  # which do not end by themselves
    said = [tmp_path / "stdout", tmp_path / "stderr"]
    process = start(
        command_line, command, str(tmp_path), {**os.environ, "TMPDIR": str(tmp_path)}, said
    )
    while process.is_alive() and not (said[1].is_file() and b"epoch 0" in said[1].read_bytes()):
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, number)
    code, text = ended(process), said[1].read_text(encoding="utf-8")
    assert "epoch 0" in text and not out.exists(), text
    assert text.startswith(f"asr: reading {folder}\n"), text
    assert "asr check" not in text and "PU available" not in text, text
    if number == signal.SIGINT:
        assert code == 128 + signal.SIGINT, text
        assert text.splitlines()[-1].startswith("asr: stopped: no bundle is written")
        assert not list(tmp_path.glob("asr-adapt-*")) and not list(tmp_path.glob("out/.*"))


def test_what_is_tested_on_is_not_learnt(tiny_bundle: Path, tmp_path: Path) -> None:
    """Whatever the order of the lines; a sentence said twice is in one part."""
    again = SPEECH[0] | {"id": "again", "audio": SPEECH[1]["audio"]}
    cuts = []
    for name, speech in (("one", [*SPEECH, again]), ("other", [again, *SPEECH[::-1]])):
        folder = tmp_path / name
        folder.mkdir()
        source = manifest(tmp_path / f"{name}.jsonl", speech)
        material = gather(source, folder, Bundle.open(tiny_bundle), lambda *_: None)
        train, test = texts(material.train.manifest), texts(material.test.manifest)
        assert not train & test and train | test == {line["text"].lower() for line in speech}
        assert len(material.train.seconds) + len(material.test.seconds) == len(speech)
        assert material.train.total / 3 < material.test.total < material.train.total
        cuts.append(test)
    assert cuts[0] == cuts[1]


def test_what_cannot_be_learnt_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"{line['audio']};{line['text']}" for line in SPEECH]
    rows[3] = f"{SPEECH[3]['audio']};{'word ' * 200}"
    rows[5] = f"{SPEECH[5]['audio']};Zoë, señor"
    table.write_text("\n".join(["path;text", "gone.wav;one", *rows]), encoding="utf-8")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    linked = tmp_path / "link"  # as a temporary folder is on macOS
    linked.symlink_to(tmp_path / "deep" / "er")
    material = gather(table, linked, Bundle.open(tiny_bundle), lambda *_: None)
    assert material.bare == {"ë", "ñ"}
    missing, crowded = material.left_out
    assert missing.endswith(f"there is no file {tmp_path / 'gone.wav'}")
    assert crowded.startswith(f"{SPEECH[3]['audio']}: ")


def test_weights_lie_between(tiny_checkpoint: Path, tiny_bundle: Path) -> None:
    old, trained = Bundle.open(tiny_bundle).acoustic_model(), Checkpoint.read(tiny_checkpoint)
    with torch.no_grad():
        for weight in trained.model.parameters():
            weight.add_(1.0)
    for share in (0.0, 0.5, 1.0):
        mixed = between(old, trained, share).model.state_dict()
        for name, weight in old.named_parameters():
            assert torch.allclose(mixed[name], weight + share, atol=2e-3), name  # float16
    assert trained.tokenizer == between(old, trained, 0.5).tokenizer


def test_the_recipe_follows_the_amount() -> None:
    little, much = Recipe.of(60.0), Recipe.of(3600.0)
    assert little.epochs > much.epochs and little.epochs * 60 < much.epochs * 3600
    assert Recipe.of(60.0, 3).epochs == 3
    alone, rehearsed = Recipe.of(1200.0), Recipe.of(1200.0, rehearsed=True)
    assert rehearsed.epochs == 2 * alone.epochs and rehearsed.share > alone.share
