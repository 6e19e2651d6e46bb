"""A language model mixed with a text: probabilities, weights, and what the text lost."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from commands import Asr
from hypothesis import given, settings
from hypothesis import strategies as st
from ngrams import estimated, silent

from asr.bundle import Bundle
from asr.errors import BadData, BadOption
from asr.lm import NGram
from asr.lm.estimation.mixing import FEWEST, OF_FEW, mix, mixture
from asr.runtime import Recognizer
from asr.text import CharacterTokenizer, without_accents
from asr.text.tokenizers import ENGLISH

CLIP = Path(__file__).parents[1] / "data" / "clips"
OLD = ["the cat sat on the mat", "a dog sat on the cat", "the mat is on the dog"] * 4
OWN = ["the cat purrs", "a ferret purrs on the mat", "ferrets purr", "room 12 purrs", "łund purrs"]
KNOWN = sorted({*" ".join(OLD).split()})
AFTER = [f"{one} {other}" for one in KNOWN for other in KNOWN]


def varied(sentences: list[str]) -> str:
    """Lines of different sentences made of these, as many of each, with known words behind them."""
    return "".join(f"{sentence} {after}\n" for after in AFTER for sentence in sentences)


def model(sentences: list[str], order: int = 3) -> NGram:
    with TemporaryDirectory() as folder:
        return estimated(Path(folder), sentences, order).model


def probability(lm: NGram, words: str) -> float:
    """Of the last word after those before it; 0 if the model does not know it."""
    ids = [lm.vocabulary.index(word) if word in lm.vocabulary else 0 for word in words.split()]
    state = 0
    for id in ids:
        score, after = lm.score(np.array([state]), np.array([id]))
        state = int(after[0])
    return float(np.exp(score[0])) if ids[-1] else 0.0


texts = st.lists(
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4).map(" ".join),
    min_size=1,
    max_size=8,
)


@given(texts, texts, st.integers(1, 3), st.integers(1, 3), st.floats(0.05, 0.95))
@settings(max_examples=40, deadline=None)
def test_a_mixture_is_the_weighted_sum_and_every_context_sums_to_one(
    one: list[str], other: list[str], first: int, second: int, weight: float
) -> None:
    parts = model(one, first), model(other, second)
    mixed = mixture(*parts, weight, silent)
    words = np.delete(np.arange(len(mixed.vocabulary)), mixed.bos)
    for state in range(len(mixed.backoffs)):
        scores, _ = mixed.score(np.full(len(words), state), words)
        assert np.exp(scores.astype(np.float64)).sum() == pytest.approx(1, abs=1e-4)
    seen = {" ".join(line.split()[at : at + n]) for line in one + other for n in (1, 2, 3)
            for at in range(len(line.split()) - n + 1)}  # fmt: skip
    for ngram in seen:
        if all(len(ngram.split()) > part.order for part in parts):
            continue
        own = [probability(part, ngram) for part in parts]
        expected = weight * own[0] + (1 - weight) * own[1]
        entry = any(probability_is_stored(part, ngram) for part in parts)
        if entry:
            assert probability(mixed, ngram) == pytest.approx(expected, rel=1e-3)


def probability_is_stored(lm: NGram, words: str) -> bool:
    state = 0
    *before, last = (lm.vocabulary.index(w) if w in lm.vocabulary else -1 for w in words.split())
    for id in before:
        key = state * len(lm.vocabulary) + id
        place = int(np.searchsorted(lm.keys, key))
        if id < 0 or lm.keys[place] != key or place + 1 >= len(lm.backoffs):
            return False
        state = place + 1
    key = state * len(lm.vocabulary) + last
    return last >= 0 and bool(lm.keys[np.searchsorted(lm.keys, key)] == key)


def test_a_text_gains_its_words_and_says_what_it_lost(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text(varied(OWN), encoding="utf-8")
    mixed = mix(model(OLD), text, silent, spells=lambda word: word.isascii() and word.isalpha(),
                language="en")  # fmt: skip
    assert set(mixed.new) == {"purrs", "purr", "ferret", "ferrets", "room"}
    assert dict(mixed.lost) == {"12": len(AFTER), "łund": len(AFTER)}
    assert mixed.after < mixed.before and 0 < mixed.unknown < 1
    assert 0.01 <= mixed.weight <= 0.5
    assert set(model(OLD).vocabulary) <= set(mixed.model.vocabulary)
    assert "łund" not in mixed.model.vocabulary
    assert probability(mixed.model, "the cat purrs") > 0.1
    assert probability(mixed.model, "dog sat on") > 0.05


def test_words_are_taken_in_the_letters_of_the_model(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("Zoë purrs\nthe café purrs\n", encoding="utf-8")
    plain = without_accents(CharacterTokenizer(ENGLISH))
    mixed = mix(model(OLD), text, silent, spells=str.isascii, language="en", plain=plain)
    assert {"zoe", "cafe"} < set(mixed.new) and not mixed.lost


def test_a_text_of_the_old_kind_weighs_less_than_one_of_another(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    weights = []
    for sentences in (OLD, OWN):
        text.write_text(varied(list(dict.fromkeys(sentences))), encoding="utf-8")
        old = model(OLD * 5)
        mixed = mix(old, text, silent, spells=str.isalpha, language="en")
        weights.append(mixed.weight)
    assert weights[0] <= weights[1] == 0.5


def test_repeated_sentences_do_not_tell_that_a_text_knows_what_is_said(tmp_path: Path) -> None:
    """Prompts that were read several times: others of the kind stand in neither text."""
    chance = np.random.default_rng(1)
    said = [" ".join(chance.choice(KNOWN, 6)) for _ in range(20 * FEWEST)]
    lines, old, weights = said[: 2 * FEWEST], model(said[2 * FEWEST :]), []
    for times in (1, 5):
        text = tmp_path / "own.txt"
        text.write_text("\n".join(chance.permutation(lines * times)), encoding="utf-8")
        mixed = mix(old, text, silent, spells=str.isalpha, language="en")
        weights.append(mixed.weight)
    assert weights[1] <= weights[0] < 0.5


def test_few_sentences_weigh_little(tmp_path: Path) -> None:
    """As a manifest's texts here: what else stands in its lines is no text."""
    manifest = tmp_path / "own.jsonl"
    lines = [json.dumps({"id": "a1", "audio": "a.wav", "text": text}) for text in OWN[:3]]
    manifest.write_text("\ufeff" + "\n".join(lines) + "\n\n", encoding="utf-8")
    old = model(OLD * 5)
    mixed = mix(old, manifest, silent, spells=str.isalpha, language="en")
    assert mixed.weight == OF_FEW and mixed.sentences == 3 and not mixed.lost
    assert set(mixed.new) == {"purrs", "purr", "ferret", "ferrets"}
    assert probability(mixed.model, "the cat") == pytest.approx(probability(old, "the cat"), 0.1)
    manifest.write_text('{"audio": "a.wav"}\n', encoding="utf-8")
    with pytest.raises(BadData, match=r"line 1: no line of a manifest with a `text`"):
        mix(old, manifest, silent, spells=str.isalpha, language="en")
    manifest.write_bytes("ein Wort".encode("utf-16"))
    with pytest.raises(BadData, match="iconv -f utf-16"):
        mix(old, manifest, silent, spells=str.isalpha, language="en")


def test_what_cannot_be_mixed_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("the cat purrs\n" * 5, encoding="utf-8")
    given_weight = mix(model(OLD), text, silent, spells=str.isalpha, language="en", weight=0.3)
    assert given_weight.weight == 0.3 and given_weight.new == ("purrs",)
    with pytest.raises(BadOption, match="above 0 and below 1"):
        mix(model(OLD), text, silent, spells=str.isalpha, language="en", weight=1.5)
    text.write_text("12 13\n" * 5, encoding="utf-8")
    with pytest.raises(BadData, match="no words that the bundle's units spell"):
        mix(model(OLD), text, silent, spells=str.isalpha, language="en", weight=0.3)


@pytest.mark.slow
def test_a_bundle_is_mixed_into_a_new_one(tmp_path: Path, tiny_bundle: Path) -> None:
    asr, bundle, new = Asr(), tmp_path / "bundle", tmp_path / "new"
    shutil.copytree(tiny_bundle, bundle)
    text, lm = tmp_path / "text.txt", tmp_path / "lm.npz"
    text.write_text(varied(OWN), encoding="utf-8")
    _, err = asr("lm", "mix", text, new, "--bundle", bundle, code=2)
    assert "has no language model to mix with" in err
    (tmp_path / "old.txt").write_text("\n".join(OLD), encoding="utf-8")
    asr("lm", "build", tmp_path / "old.txt", lm)
    asr("lm", "add", lm, "--bundle", bundle, "--sources", "cats")
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    out, _ = asr("lm", "mix", text, new, "--bundle", bundle, "--sources", "ferrets")
    assert "new words       5: purrs" in out
    assert f"lost            {len(AFTER)} words with digits, signs: 12" in out
    assert f"lost            {len(AFTER)} words with other letters: łund" in out
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    mixed = Bundle.open(new)
    assert mixed.info.name == "new" and mixed.info.lm is not None
    assert mixed.info.lm["sources"] == "cats; mixed with 50% of ferrets"
    assert mixed.info.decoding == Bundle.open(bundle).info.decoding
    clip = json.loads((CLIP / "check-clips.jsonl").read_text("utf-8").splitlines()[0])["audio"]
    Recognizer.load(new, "cpu").transcribe(CLIP / clip, decoder="beam")
    assert "there already" in asr("lm", "mix", text, new, "--bundle", bundle, code=2)[1]
    small = (tmp_path / "small", "--bundle", bundle, "--weight", "0.8", "--max-size", "0.0027")
    out, err = asr("lm", "mix", text, *small)
    assert "with a weight of 0.8 the text counts for more than" in err
    assert "after (held-out, before n-grams were left out)" in out and "left out        " in out
    text.write_text("\n".join(OWN * 2), encoding="utf-8")
    asr("lm", "build", text, lm)
    _, err = asr("lm", "add", lm, "--bundle", new)
    assert "of the 13 words of the language model before, this one lacks" in err
