"""`asr data self-train`: recordings without texts teach, round after round."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from commands import asr

from asr.bundle import Bundle
from asr.corpus import importers
from asr.training.callbacks.checkpoints import LAST

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
COMMAND = shlex.split(re.findall(r"^asr data self-train .*$", PAGE, re.MULTILINE)[0])[1:]
ALL = [DATA / "train" / "manifest.jsonl", DATA / "clips" / "check-clips.jsonl"]
SPEECH = [
    {**values, "audio": str((path.parent / values["audio"]).resolve())}
    for path in ALL
    for values in map(json.loads, path.read_text(encoding="utf-8").splitlines())
]


def manifest(path: Path, speech: list[dict[str, str]], texts: bool = True) -> Path:
    lines = [line if texts else {"audio": line["audio"]} for line in speech]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.slow
def test_rounds_teach_and_go_on_where_they_stopped(tmp_path: Path) -> None:
    """Measured on the very speech that it learns from, so that something is gained for sure."""
    given = {word: tmp_path / Path(word).name for word in COMMAND if "/" in word}
    texts, unheard, dev = given.values()
    for path in (texts, dev):
        manifest(path, SPEECH[10:18])
    manifest(unheard, SPEECH[:11], texts=False)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with unheard.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"audio": "broken.wav"}) + "\n")
    out = tmp_path / COMMAND[COMMAND.index("-o") + 1]
    work = out / "work" / "round-1"
    command = [*(given.get(word, word) for word in COMMAND), "--device", "cpu", "--epochs", "2"]
    command[command.index("-o") + 1] = out
    done = asr(*command, "--rounds", 1)
    assert done.returncode == 0, done.stderr
    assert f"{unheard.name}: 1 with texts, or measured on" in done.stderr
    assert "broken.wav" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout.endswith(f"written         {out / 'round-1'}\n")
    written = (work / "labels.jsonl").read_text(encoding="utf-8")
    guessed = [json.loads(line) for line in written.splitlines()]
    assert f"round-1         {len(guessed)} of 11 recordings kept" in done.stdout
    assert guessed and all(line["confidence"] >= 0.6 for line in guessed)
    config = yaml.safe_load((work / "run" / "config.yaml").read_text(encoding="utf-8"))
    assert 0.2 < config["data"]["shares"][0]["share"] <= 0.5
    first = Bundle.open(out / "round-1").info
    assert "texts that it guessed" in first.sources and first.calibration

    # As a kill leaves it before the bundle is written: nothing is heard or trained on again.
    shutil.rmtree(out / "round-1")
    labels, trained = (work / "labels.jsonl.journal", work / "run" / "checkpoints" / LAST)
    heard, when = labels.read_text(encoding="utf-8"), trained.stat().st_mtime_ns
    again = asr(*command, "--rounds", 1)
    assert again.returncode == 0 and again.stdout == done.stdout, again.stderr
    assert labels.read_text(encoding="utf-8") == heard and trained.stat().st_mtime_ns == when
    assert Bundle.open(out / "round-1").info.checksums == first.checksums

    other = asr(*command, "--threshold", "0.5")
    assert other.returncode == 2 and "begun with other --threshold" in other.stderr


def test_what_cannot_work_is_refused(
    tiny_bundle: Path, phone_bundle: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    texts = manifest(tmp_path / "texts.jsonl", SPEECH[:20])
    unheard = manifest(tmp_path / "unheard.jsonl", SPEECH[20:22], texts=False)
    stretch = manifest(tmp_path / "stretch.jsonl", [SPEECH[20] | {"start": "0"}])
    stretch.write_text(json.dumps({"audio": SPEECH[20]["audio"], "start": 1.0}), encoding="utf-8")
    (tmp_path / "there").mkdir()
    for number, (source, bundle, words) in enumerate(
        (
            (unheard, phone_bundle, "has no lexicon to train with"),
            (unheard, tiny_checkpoint, "calibrating each half needs 20 right"),
            (unheard, tmp_path / "gone", "gone"),
            (texts, tiny_bundle, "has no recording besides those with texts"),
            (stretch, tiny_bundle, "is a stretch of"),
            (tmp_path / "none.jsonl", tiny_bundle, "there is no such manifest"),
        )
    ):
        out = tmp_path / f"out-{number}"
        done = asr("data", "self-train", texts, source, "-o", out, "--bundle", bundle)
        assert done.returncode == 2 and words in done.stderr, done.stderr
        assert not list(out.glob("round-*")) and not done.stdout.startswith("round")
    done = asr("data", "self-train", texts, unheard, "-o", tmp_path / "there")
    assert done.returncode == 2 and "is there already" in done.stderr
    assert done.stderr.startswith(f"asr: reading {texts} and {unheard}\n")


def test_what_is_unsure_too_slow_or_too_quick_is_no_text() -> None:
    audio = SPEECH[0]["audio"]

    class Guess:
        error: str | None = None

        def __init__(self, text: str, confidence: float, duration: float) -> None:
            self.audio, self.text = audio, text
            self.confidence, self.duration = confidence, duration

    guesses = [
        Guess("two words", 0.9, 1.0), Guess("two words", 0.7, 1.0), Guess("two words", 0.9, 9.0),
        Guess("two words", 0.9, 0.1), Guess("", 0.9, 1.0),
    ]  # fmt: skip
    found = list(importers.labelled(guesses, 0.8, {}, (1.0, 4.0)))
    problems = [item.problem or "" for item in found]
    assert problems[0] == "" and "0.700 is below 0.8" in problems[1]
    assert "0.22 words per second are not within 1.00 to 4.00" in problems[2]
    assert "20.00 words per second" in problems[3] and problems[4] == "no words are heard in it"
