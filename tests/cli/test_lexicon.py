"""`asr lexicon`: words, texts and manifests to pronunciations."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from commands import Asr, asr

from asr.bundle import Bundle, put_calibration
from asr.cli import main
from asr.text.pronunciations import Pronunciations

PART = Path(__file__).parents[1] / "data" / "lexicon" / "cmudict-part.dict"


@pytest.fixture(name="asr")
def _asr() -> Asr:
    return Asr("lexicon")


@pytest.fixture(scope="module")
def g2p(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("g2p") / "made" / "g2p.npz"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr(sys, "argv", ["asr", "lexicon", "train", str(PART), "-o", str(path)])
        main()
    assert stopped.value.code in (0, None)
    return path


def test_training_says_how_well_it_went(asr: Asr, tmp_path: Path) -> None:
    lines = [*PART.read_text().splitlines(), "etc EH T S EH T ER AH", "a-b EY B IY"]
    mixed = tmp_path / "some words.dict"
    mixed.write_text("\n".join(lines))
    out, err = asr("train", mixed, "-o", tmp_path / "g.npz", "--held-out", 0.2)
    assert "phone errors" in out and "spelled right" in out and "phones          39" in out
    assert "1 word with over two phones to a letter left out: etc" in err
    assert f"1 line passed over, as line {len(lines)}: 'a-b' is 2 words" in err
    assert f"`asr lexicon --check '{mixed}'`" in err


def test_no_word_is_silent(asr: Asr, g2p: Path) -> None:
    out, _ = asr(*"hhh", "h", "hh", "eh", "b", "--g2p", g2p, "--dictionary", PART)
    assert all(line.partition("\t")[2] for line in out.splitlines())


def test_words_texts_and_manifests(asr: Asr, tmp_path: Path, g2p: Path) -> None:
    text, manifest = tmp_path / "text.txt", tmp_path / "some.jsonl"
    text.write_text("The other things.\n", encoding="utf-8")
    manifest.write_text(json.dumps({"audio": "a.wav", "text": "THE WAY"}) + "\n")
    out, err = asr("There", text, manifest, "--dictionary", PART, "--g2p", g2p, "--origin")
    lines = [line.split("\t") for line in out.splitlines()]
    assert [word for word, _ in dict.fromkeys((w, 0) for w, _ in lines)] == [
        "there", "the", "other", "things", "way",
    ]  # fmt: skip
    assert ["there", "DH EH R # dictionary"] in lines
    assert "by the dictionary: 5," in err
    written = tmp_path / "new" / "lexicon.txt"
    asr("There", text, "-o", written, "--dictionary", PART, "--g2p", g2p, "--nbest", 1)
    assert Pronunciations.load(written).words == ("there", "the", "other", "things")
    assert all(len(said) == 1 for said in Pronunciations.load(written).values())


def test_ones_own_words_go_first(asr: Asr, tmp_path: Path, g2p: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("the\tDH UW\nkubectl\tK UW B K AH T AH L\n")
    out, _ = asr("the", "kubectl", "--dictionary", own, "--dictionary", PART, "--g2p", g2p)
    assert out == own.read_text()


def test_words_that_cannot_be_said_are_named(asr: Asr, g2p: Path) -> None:
    out, err = asr("the", "Türe", "--dictionary", PART, "--g2p", g2p, code=1)
    assert out.startswith("the\tDH AH\n")
    assert "1 word without a pronunciation (the model has no letters ü): türe" in err


def test_faults_are_listed(asr: Asr, tmp_path: Path, g2p: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("cat\tK AE T\n\ndog\ncat\tK AE T\n")
    options = ("--dictionary", PART, "--g2p", g2p)
    out, _ = asr("--check", own, *options, code=1)
    assert [line.partition(": ")[0] for line in out.splitlines()] == [
        f"{own}, line 2", f"{own}, line 3", f"{own}, line 4", str(own),
    ]  # fmt: skip
    assert out.endswith("1 word, 1 pronunciation, 3 phones, 3 faulty lines\n")
    assert "0 faulty lines" in asr(PART, "--check", *options)[0]


def test_letters_that_the_model_lacks_are_faults(
    asr: Asr, tmp_path: Path, phone_bundle: Path, g2p: Path
) -> None:
    own = tmp_path / "own.txt"
    own.write_text("Zoë\tZ OW IY\nтри\tT R IY\nx9\tEH K S\n", encoding="utf-8")
    out, _ = asr(own, "--check", "--bundle", phone_bundle, code=1)
    assert "line 2: 'три' has letters that the bundle's model lacks: и р т" in out
    assert "1 word, 1 pronunciation, 3 phones, 2 faulty lines" in out
    bundle = Path(shutil.copytree(phone_bundle, tmp_path / "bundle"))
    said = asr("add", own, "--g2p", g2p, "--bundle", bundle, code=2)[1]
    assert "own.txt, line 2: 'три' has letters" in said and "(and 1 line more)" in said
    assert Bundle.open(bundle).g2p is None  # nothing is changed by half


def test_a_few_words_leave_the_calibration(asr: Asr, tmp_path: Path, phone_bundle: Path) -> None:
    bundle = Path(shutil.copytree(phone_bundle, tmp_path / "bundle"))
    asr("add", PART, "--bundle", bundle)
    put_calibration(bundle, {"beam": {"fitted": True}})
    few, many = tmp_path / "few.txt", tmp_path / "many.txt"
    few.write_text("kubectl\tK UW B K AH T AH L\nthe\tDH UW\n", encoding="utf-8")
    assert not asr("add", few, "--bundle", bundle)[1]
    assert "beam" in Bundle.open(bundle).info.calibration
    said = [line.partition(" ") for line in PART.read_text(encoding="utf-8").splitlines()]
    others = [f"{word}\tAH {phones}\n" for word, _, phones in said if word.isalpha()]
    many.write_text("".join(dict.fromkeys(others)), encoding="utf-8")
    told = asr("add", many, "--bundle", bundle)[1]
    assert told.startswith("confidence and the detection of speech were fitted to the lexicon")
    assert "beam" not in Bundle.open(bundle).info.calibration


def test_the_bundle_that_ships_is_not_changed_without_a_word(asr: Asr, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("cat\n", encoding="utf-8")
    said = asr("add", own, code=2)[1]
    assert said.startswith("no --bundle is named, so the one that ships is to be changed: ")
    assert "own.txt, line 1: 'cat' has no phones" in said or "has no pronunciations" in said


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no folder like it")
def test_a_bundle_that_cannot_be_changed_is_named_before_any_work(tmp_path: Path) -> None:
    """Nobody may write in that folder."""
    clips = tmp_path / "clips.jsonl"
    for command in (("lm", "tune", clips), ("calibrate", clips), ("evaluate", clips, "--record")):
        done = asr(*command, "--bundle", "/proc/self")
        assert done.returncode == 2
        assert done.stderr.startswith("asr: /proc/self/bundle.json cannot be written (")


def test_what_cannot_be_is_one_sentence(asr: Asr, tmp_path: Path, g2p: Path) -> None:
    options = ("--dictionary", PART, "--g2p", g2p)
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    own = tmp_path / "own.txt"
    own.write_text("\ufeffkubectl\tK Y UW1 B # mine\n", encoding="utf-8")
    for arguments, message in (
        (("none.txt", *options), "there is no file none.txt"),
        (("?", *options), "'?' is no word"),
        ((own, *options), "own.txt has pronunciations in place of a text: give it by --dictionary"),
        ((bad, *options), "bad.jsonl, line 1: no line of a manifest with a `text`"),
        (("the", "--dictionary", tmp_path / "no.txt", "--g2p", g2p), "no.txt cannot be read"),
        (("the", "--dictionary", PART, "--g2p", PART), "is no pronunciation model"),
        (("train", PART, "-o", tmp_path / "x.npz", "--order", 1), "order 1 is not from 2 to 10"),
    ):
        _, err = asr(*arguments, code=2)
        assert message in err and err.count("\n") == 1
