"""`asr lm` from a text to a bundle that reads with it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asr.bundle import Bundle

ROOT = Path(__file__).parents[2]
ASR = [sys.executable, "-c", "from asr.cli import main; main()"]
TEXT = ["The cat sat.", "A cat sat on the mat.", "the MAT sat on a cat", "on the cat a mat sat"] * 3


def asr(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("asr")), *map(str, arguments)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr
    return found


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(TEXT), encoding="utf-8")
    return path


def test_build_info_perplexity_and_arpa(tmp_path: Path, text: Path) -> None:
    lm, arpa, again = tmp_path / "lm.npz", tmp_path / "lm.arpa", tmp_path / "again.npz"
    built = asr("lm", "build", text, lm, "--order", 2, "--prune", "0,0", "--max-size", 1)
    assert "over            words" in built.stdout and "2-grams" in built.stdout
    assert asr("lm", "info", lm).stdout == built.stdout
    measured = asr("lm", "perplexity", lm, text).stdout
    assert "unknown         0.000%" in measured and "sentences       12" in measured
    asr("lm", "arpa", lm, arpa)
    assert asr("lm", "build", arpa, again).stdout == built.stdout.replace("lm.npz", "again.npz")
    assert asr("lm", "perplexity", again, text).stdout == measured
    assert "leave them out" in asr("lm", "build", arpa, again, "--order", 2, code=2).stderr


def test_what_cannot_be_is_one_sentence(tmp_path: Path, text: Path) -> None:
    for arguments, message in (
        (("build", tmp_path / "no.txt", tmp_path / "lm.npz"), "no.txt cannot be read"),
        (("build", text, tmp_path / "no" / "lm.npz"), "its folder is not there"),
        (("build", text, tmp_path / "lm.npz", "--prune", "x"), "no row of numbers"),
        (("build", text, tmp_path / "lm.npz", "--max-size", "0.0001"), "the words alone take"),
        (("build", text, tmp_path / "lm.npz", "--units", tmp_path), "not a bundle"),
        (("info", text), "is no language model"),
        (("add", text), "is no language model"),
    ):
        stderr = asr("lm", *arguments, code=2).stderr
        assert message in stderr and stderr.count("\n") == 1


def test_a_bundle_gets_a_language_model_and_its_weights(
    tmp_path: Path, text: Path, tiny_bundle: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    lm, units = tmp_path / "lm.npz", tmp_path / "units.npz"
    asr("lm", "build", text, lm)
    clips = ROOT / "tests" / "data" / "clips"
    manifest = tmp_path / "some.jsonl"
    lines = (clips / "check-clips.jsonl").read_text(encoding="utf-8").splitlines()[:2]
    values = [json.loads(line) for line in lines]
    for value in values:
        value["audio"] = str((clips / value["audio"]).resolve())
    manifest.write_text("\n".join(map(json.dumps, values)), encoding="utf-8")
    stderr = asr("lm", "tune", manifest, "--bundle", bundle, code=2).stderr
    assert "has no language model to tune" in stderr
    asr("lm", "add", lm, "--bundle", bundle, "--sources", "a text of cats")
    opened = Bundle.open(bundle)
    assert opened.lm is not None and opened.lm.read_bytes() == lm.read_bytes()
    assert opened.info["lm"]["sources"] == "a text of cats"
    assert "lm_weight" in asr("lm", "tune", manifest, "--bundle", bundle, "--clips", 2).stdout
    tuned = Bundle.open(bundle).info["decoding"]
    assert tuned.keys() == {"lm_weight", "word_bonus", "unknown_price"}
    asr("lm", "build", text, units, "--units", "characters")
    foreign = tmp_path / "other.npz"
    asr("lm", "build", text, foreign, "--units", bundle)
    assert foreign.read_bytes() == units.read_bytes()
