"""Decoding with a language model, hot words and alternatives; options of a call."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.audio import load
from asr.bundle import Bundle, put_calibration, put_decoding, put_lm
from asr.errors import BadBundle, BadData, BadOption
from asr.lm import write_ngram
from asr.lm.estimation import from_text
from asr.runtime import Options, Recognizer
from asr.runtime.reader import PIECE_SECONDS
from asr.text import CharacterTokenizer, Tokenizer

SENTENCES = ["a man said to the universe", "sir i exist", "he began to speak to me"] * 4


@contextmanager
def silent(name: str) -> Iterator[Any]:  # noqa: ARG001
    yield lambda done, total: None  # noqa: ARG005


def language_model(folder: Path, tokenizer: Tokenizer | None = None) -> Path:
    text, lm = folder / "text.txt", folder / "lm.npz"
    text.write_text("\n".join(SENTENCES), encoding="utf-8")
    estimate = from_text(text, 2, silent, cutoffs=(), tokenizer=tokenizer, words=1_000)
    write_ngram(estimate.model, lm)
    return lm


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return language_model(tmp_path_factory.mktemp("lm"))


@pytest.fixture(scope="module")
def plain(tiny_bundle: Path) -> Recognizer:
    """Without a language model."""
    return Recognizer.load(tiny_bundle, "cpu")


@pytest.fixture(scope="module")
def shipped(shipped_bundle: Path) -> Recognizer:
    return Recognizer.load(shipped_bundle, "cpu")


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def test_the_decoder_is_beam_where_there_is_a_language_model(
    plain: Recognizer, tiny_bundle: Path, bundle: Path, lm: Path
) -> None:
    assert plain.options().decoder == "greedy"
    assert Recognizer.load(tiny_bundle, "cpu", lm).options().decoder == "beam"
    put_lm(bundle, lm, {"sources": "a test"})
    assert Recognizer.load(bundle, "cpu").options().decoder == "beam"
    assert Recognizer.load(bundle, "cpu").options(decoder="greedy").decoder == "greedy"


def test_what_was_tuned_travels_with_the_bundle(bundle: Path, lm: Path) -> None:
    put_lm(bundle, lm, {})
    put_decoding(bundle, {"lm_weight": 0.3, "beam_size": 8})
    options = Recognizer.load(bundle, "cpu").options(word_bonus=0.5)
    assert (options.lm_weight, options.beam_size, options.word_bonus) == (0.3, 8, 0.5)
    again = put_lm(bundle, lm, {})  # another model: what was tuned for the old one is gone
    assert again.info.decoding == {}


def test_a_language_model_is_checked_like_the_rest(bundle: Path, lm: Path) -> None:
    opened = put_lm(bundle, lm, {})
    assert opened.lm == bundle / "lm.npz"
    (bundle / "lm.npz").write_bytes(b"not it")
    with pytest.raises(BadBundle, match=r"lm\.npz is not the file"):
        Bundle.open(bundle)
    (bundle / "lm.npz").unlink()
    with pytest.raises(BadBundle, match=r"lm\.npz cannot be read"):
        Bundle.open(bundle)


def test_a_calibration_that_cannot_be_read_is_named(bundle: Path) -> None:
    put_calibration(bundle, {"greedy": {"end_offset": "late"}})
    with pytest.raises(BadBundle, match="calibration cannot be read"):
        Recognizer.load(bundle, "cpu")


def test_language_models_that_cannot_be_used_are_named(tiny_bundle: Path, tmp_path: Path) -> None:
    other = language_model(tmp_path, CharacterTokenizer(" abcdefghijklmnopqrstuvwxyz"))
    with pytest.raises(BadOption, match="language model is over units that the bundle's"):
        Recognizer.load(tiny_bundle, "cpu", other)
    with pytest.raises(BadData, match=r"none\.npz"):
        Recognizer.load(tiny_bundle, "cpu", tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"decoder": "greedy", "nbest": 2}, "nbest has no effect with the decoder greedy"),
        ({"decoder": "greedy", "hotwords": ["nyx"]}, "hotwords has no effect with the decoder"),
        ({"decoder": "greedy", "lm_weight": 0.5}, "lm_weight has no effect with the decoder"),
        ({"decoder": "beam", "lm_weight": 0.5}, "lm_weight has no effect, as this bundle has no"),
        ({"decoder": "beam", "beam_size": 0}, "beam_size 0 is out of range; choose 1 to 2048"),
        ({"decoder": "beam", "beam_size": 2.5}, "beam_size 2.5 is not a whole number"),
        ({"decoder": "beam", "beam_size": np.True_}, "beam_size np.True_ is not a whole number"),
        ({"decoder": "beam", "nbest": 17}, r"nbest 17 is out of range; choose 1 to 16 \(the beam"),
        ({"decoder": "beam", "nbest": True}, "nbest True is not a whole number"),
        ({"decoder": "beam", "hotwords": "nyx"}, "hotwords 'nyx' are not a list of words"),
        ({"decoder": "beam", "hotwords": ["Zoë9"]}, "hot word 'Zoë9' has .*cannot spell"),
        ({"decoder": "beam", "hotwords": ["?"]}, r"hot word '\?' has no letters"),
        ({"decoder": "beam", "hotword_boost": -1.0}, "hotword_boost -1.0 is out of range"),
        ({"decoder": "beam", "hotword_boost": "lots"}, "hotword_boost 'lots' is not a number"),
    ],
)
def test_options_that_cannot_be_are_named(
    plain: Recognizer, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadOption, match=message):
        plain.options(**values)


def test_numbers_of_numpy_are_numbers(plain: Recognizer, clips: list[Path]) -> None:
    given = {"beam_size": np.int64(4), "nbest": np.int32(2)}
    usual = {"beam_size": 4, "nbest": 2}
    first, second = (plain.transcribe(clips[0], decoder="beam", **each) for each in (given, usual))
    assert first == second


def test_options_that_change_nothing_are_welcome(plain: Recognizer) -> None:
    assert plain.options(hotwords=[], nbest=1) == Options()


def test_hot_words_choose_the_decoder_that_hears_them(plain: Recognizer) -> None:
    assert plain.options(hotwords=["nyx"]).decoder == "beam"


@pytest.mark.slow
def test_beam_words_have_times_in_order(shipped: Recognizer, clips: list[Path]) -> None:
    for found in shipped.transcribe(clips, decoder="beam"):
        assert found.plain == " ".join(word.text for word in found.words)
        assert all(0.0 < word.confidence < 1.0 for word in found.words)
        for word in found.words:
            assert 0.0 <= word.start < word.end <= found.duration
        for earlier, later in pairwise(found.words):
            assert earlier.end <= later.start


def test_several_readings_change_nothing_else(shipped: Recognizer, clips: list[Path]) -> None:
    one = shipped.transcribe(clips, decoder="beam")
    several = shipped.transcribe(clips, decoder="beam", nbest=4)
    assert [replace(found, alternatives=()) for found in several] == one


def test_several_readings_come_with_scores(shipped: Recognizer, clips: list[Path]) -> None:
    found = shipped.transcribe(clips[0], decoder="beam", nbest=4)
    texts = [one.text for one in found.alternatives]
    assert texts[0] == found.plain
    assert len(set(texts)) == len(texts) == 4
    scores = [one.score for one in found.alternatives]
    assert scores == sorted(scores, reverse=True)
    assert json.dumps(found.to_dict()["alternatives"][0]) == json.dumps(
        {"text": found.plain, "score": round(scores[0], 4)}
    )


def test_hot_words_are_heard(shipped: Recognizer, clips: list[Path]) -> None:
    name = "Manne"
    without = shipped.transcribe(clips[0], decoder="beam")
    heard = shipped.transcribe(clips[0], decoder="beam", hotwords=[name], hotword_boost=20.0)
    assert name.lower() in heard.plain.split()
    assert name.lower() not in without.plain.split()
    accented = shipped.transcribe(clips[0], decoder="beam", hotwords=["MänNÉ"], hotword_boost=20.0)
    assert accented.plain == heard.plain and "ManNE" in accented.text


def test_long_recordings_are_read_in_parts(shipped: Recognizer, clips: list[Path]) -> None:
    pause = np.zeros(16_000, np.float32)
    speech = np.concatenate([part for clip in clips for part in (load(clip).samples, pause)])
    long = np.concatenate([speech] * (int(2 * PIECE_SECONDS * 16_000 / len(speech)) + 1))
    found = shipped.transcribe((long, 16_000), decoder="beam", nbest=3)
    assert found.duration > 2 * PIECE_SECONDS
    for earlier, later in pairwise(found.words):
        assert earlier.start < earlier.end <= later.start
    assert found.alternatives[0].text == found.plain
    assert len(found.alternatives) == 3
    # Parts begin in pauses, so that each clip is read as it is alone, but for the model's memory.
    alone = shipped.transcribe((speech, 16_000), decoder="beam").text.split()
    assert len(found.words) == pytest.approx(len(alone) * len(long) / len(speech), rel=0.1)


def test_the_steps_of_a_service_are_those_of_transcribe(
    shipped: Recognizer, clips: list[Path]
) -> None:
    audios = [load(clip) for clip in clips[:2]]
    lattices = []
    for audio in audios:
        windows = shipped.windows(len(audio.samples))
        rows = shipped.run([audio.samples[window.start : window.stop] for window in windows])
        lattices.append(shipped.join(windows, rows))
    read = shipped.read(lattices, [audio.duration for audio in audios], shipped.options())
    assert read == shipped.transcribe(audios)


def test_company_changes_nothing(shipped: Recognizer, clips: list[Path]) -> None:
    together = shipped.transcribe(clips, decoder="beam")
    assert [shipped.transcribe(clip, decoder="beam") for clip in clips] == together
