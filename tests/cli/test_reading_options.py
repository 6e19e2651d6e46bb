"""Options of `asr transcribe` and `asr evaluate` that say how to read."""

import json
import os
import sys
from pathlib import Path

import pytest

from asr.cli import main
from asr.cli.options import reading
from asr.errors import BadOption

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "samples" / "1272-141231-0000.flac"


def asr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    """Exit code and what was written to stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["asr", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def test_only_what_was_given_is_an_option(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\ufeffNyx\n\n , New York \n", encoding="utf-8")
    given = reading(words, decoder="beam", nbest=None, lm_weight=0.0)
    assert given == {"decoder": "beam", "lm_weight": 0.0, "hotwords": ("Nyx", "New York")}
    assert reading(None, decoder=None) == {}


def test_hot_words_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Zoë".encode("latin-1"))
    for path, reason in ((tmp_path / "none.txt", "No such file"), (latin, "not UTF-8")):
        with pytest.raises(BadOption, match=rf"{path.name} cannot be read \(.*{reason}"):
            reading(path)


@pytest.mark.slow
def test_several_readings_are_listed_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--decoder", "beam", "--beam-size", 16, "--nbest", 2, "--format", "json")
    code, out, _ = asr(monkeypatch, capsys, "transcribe", CLIP, *options)
    found = json.loads(out)
    assert code == 0
    plain = " ".join(word["text"] for word in found["words"])
    assert found["alternatives"][0]["text"] == plain
    assert len(found["alternatives"]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--nbest", 2), "txt has no place for several readings: add --format json."),
        (("--decoder", "greedy", "--beam-size", 4), "beam_size has no effect with the decoder"),
        (("--decoder", "psychic"), "decoder 'psychic' is not known; choose from greedy, beam."),
        (("--lm", "none.npz"), "none.npz"),
        (("--lm", "none.npz", "--decoder", "greedy"), "--lm has no effect with the decoder greedy"),
        (("--hotwords", "none.txt"), "the hot words in none.txt cannot be read"),
        (("--hotwords", os.devnull), "names no hot words"),
        (("--hotword-boost", 2), "hotword_boost has no effect without hot words"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[object, ...],
    message: str,
) -> None:
    code, out, err = asr(monkeypatch, capsys, "transcribe", CLIP, *options)
    assert (code, out) == (2, "")
    assert err.startswith("asr: ") and message in err and err.count("\n") == 1


def test_a_record_is_of_the_bundle_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = ROOT / "samples" / "transcripts.jsonl"
    options = ("--record", "--beam-size", 4)
    code, _, err = asr(monkeypatch, capsys, "evaluate", manifest, *options)
    assert code == 2
    assert "--record takes the bundle as it is" in err
