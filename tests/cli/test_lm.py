"""`asr lm` from a text to a bundle that reads with it."""

import json
import shutil
from pathlib import Path

import pytest
from commands import Asr

from asr.bundle import Bundle

ROOT = Path(__file__).parents[2]
TEXT = ["The cat sat.", "A cat sat on the mat.", "the MAT sat on a cat", "on the cat a mat sat"] * 3


@pytest.fixture
def asr() -> Asr:
    return Asr()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(TEXT), encoding="utf-8")
    return path


def test_build_info_perplexity_and_arpa(asr: Asr, tmp_path: Path, text: Path) -> None:
    lm, arpa, again = (tmp_path / name for name in ("new/lm.npz", "made/lm.arpa", "again.npz"))
    built, _ = asr("lm", "build", text, lm, "--order", 2, "--prune", "0,0", "--max-size", 1)
    assert "over            words" in built and "2-grams" in built
    assert asr("lm", "info", lm)[0] == built
    measured, _ = asr("lm", "perplexity", lm, text)
    assert "unknown         0.000%" in measured and "sentences       12" in measured
    said = asr("lm", "perplexity", lm, text, "--units", "characters", code=2)[1]
    assert "--units has no effect" in said
    asr("lm", "arpa", lm, arpa)
    assert asr("lm", "build", arpa, again)[0] == built
    assert asr("lm", "perplexity", again, text)[0] == measured
    assert "leave them out" in asr("lm", "build", arpa, again, "--order", 2, code=2)[1]
    text.write_text("\n")
    assert "has no words" in asr("lm", "perplexity", lm, text, code=2)[1]
    assert asr("lm", "arpa", lm, text / "lm.arpa", code=2)[1] == (
        f"asr: {text / 'lm.arpa'} cannot be written (File exists): choose another folder.\n"
    )


def test_what_cannot_be_is_one_sentence(asr: Asr, tmp_path: Path, text: Path) -> None:
    out, said = tmp_path / "lm.npz", tmp_path / "said.txt"
    said.write_text("cat\tK AE1 T\n", encoding="utf-8")
    for arguments, message in (
        (("build", tmp_path / "no.txt", tmp_path / "new" / "lm.npz"), "no.txt cannot be read"),
        (("build", text, text / "lm.npz"), "File exists"),
        (("build", text, out, "--prune", "x"), "no row of numbers"),
        (("build", text, out, "--max-size", "0.0001"), "the words alone take"),
        (("build", text, out, "--units", tmp_path), "not a bundle"),
        (("build", said, out), "said.txt has pronunciations in place of sentences"),
        (("info", text), "is no language model of this earshot (it is no .npz file)"),
        (("add", text), "is no language model"),
    ):
        _, err = asr("lm", *arguments, code=2)
        assert message in err and err.count("\n") == 1
    assert not out.exists() and not (tmp_path / "new").exists()


def test_words_that_are_left_out_are_counted(asr: Asr, tmp_path: Path, text: Path) -> None:
    with text.open("a", encoding="utf-8") as file:
        file.write("\nthe dog saw a bird\n")
    lm = tmp_path / "lm.npz"
    _, said = asr("lm", "build", text, lm)
    assert said == f"{text}: left out, as they occur once: 3 of 9 different words; " + (
        "`--vocabulary 9` keeps them\n"
    )
    assert "0.000%" not in asr("lm", "perplexity", lm, text)[0]
    _, said = asr("lm", "build", text, lm, "--vocabulary", 9)
    assert not said and "0.000%" in asr("lm", "perplexity", lm, text)[0]


@pytest.mark.slow
def test_a_bundle_gets_a_language_model_and_its_weights(
    asr: Asr, tmp_path: Path, text: Path, tiny_bundle: Path, tiny_checkpoint: Path
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
    _, stderr = asr("lm", "tune", manifest, "--bundle", bundle, code=2)
    assert "has no language model to tune" in stderr
    asr("lm", "add", lm, "--bundle", bundle, "--sources", "a text of cats")
    opened = Bundle.open(bundle)
    assert opened.lm is not None and opened.lm.read_bytes() == lm.read_bytes()
    assert opened.info.lm is not None and opened.info.lm["sources"] == "a text of cats"
    _, stderr = asr("export", tiny_checkpoint, bundle, code=2)
    assert "has a language model, which an export does not write" in stderr
    assert "lm_weight" in asr("lm", "tune", manifest, "--bundle", bundle, "--clips", 1)[0]
    with manifest.open("a", encoding="utf-8") as file:
        file.write('\n{"audio": "gone.wav", "text": "gone"}')
    shown, said = asr("lm", "tune", manifest, "--bundle", bundle, code=1)
    assert "clips           2\n" in shown and f"{manifest}:3: " in said and "written" in shown
    manifest.write_text('{"audio": "gone.wav", "text": "gone"}', encoding="utf-8")
    said = asr("lm", "tune", manifest, "--bundle", bundle, code=2)[1]
    assert "none of its recordings can be read" in said
    tuned = Bundle.open(bundle).info.decoding
    assert tuned.keys() == {"prior_weight", "lm_weight", "word_bonus", "unknown_price"}
    asr("export", tiny_checkpoint, bundle, "--overwrite")
    assert Bundle.open(bundle).lm is None
    asr("lm", "build", text, units, "--units", "characters")
    foreign = tmp_path / "other.npz"
    asr("lm", "build", text, foreign, "--units", bundle)
    assert foreign.read_bytes() == units.read_bytes()
