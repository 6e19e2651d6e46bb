import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import BadData, BadOption
from asr.text import (
    BLANK,
    CharacterTokenizer,
    SubwordTokenizer,
    Tokenizer,
    Units,
    normalise,
    tokenizer_from_state,
)
from asr.text.units import FROM_TEXTS

MANIFEST = Path(__file__).parent.parent / "data" / "train" / "manifest.jsonl"


def texts() -> list[str]:
    lines = MANIFEST.read_text(encoding="utf-8").splitlines()
    return [normalise(json.loads(line)["text"]) for line in lines]


@pytest.fixture(scope="module", params=["characters", "sentencepiece"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Units(kind=request.param, size=40).tokenizer(texts())


def test_text_survives_the_round_trip_without_blanks(tokenizer: Tokenizer) -> None:
    for text in texts():
        units = tokenizer.encode(text)
        assert BLANK not in units
        assert max(units) < tokenizer.n_units
        assert tokenizer.decode(units) == text


def test_words_are_spelled_by_their_own_units(tokenizer: Tokenizer) -> None:
    for text in texts():
        units = tokenizer.encode(text)
        spans = tokenizer.word_spans(units)
        assert [word for word, _, _ in spans] == text.split()
        for word, first, end in spans:
            assert tokenizer.decode(units[first:end]) == word


def test_a_tokenizer_is_rebuilt_from_its_state(tokenizer: Tokenizer) -> None:
    state = json.loads(json.dumps(tokenizer.state()))
    again = tokenizer_from_state(state)
    assert again.n_units == tokenizer.n_units
    assert again.encode(texts()[0]) == tokenizer.encode(texts()[0])


def test_unknown_characters_are_named_and_refused(tokenizer: Tokenizer) -> None:
    assert tokenizer.unknown("naïve 3") == {"ï", "3"}
    with pytest.raises(BadData, match="'ï'"):
        tokenizer.encode("naïve")


@given(st.lists(st.integers(0, 28)))
def test_any_units_have_a_text_and_its_words(units: list[int]) -> None:
    tokenizer = CharacterTokenizer()
    spans = tokenizer.word_spans(units)
    assert " ".join(word for word, _, _ in spans) == tokenizer.decode(units)


def test_subwords_are_learnt_the_same_each_time() -> None:
    assert SubwordTokenizer.learn(texts(), 40).model == SubwordTokenizer.learn(texts(), 40).model


@pytest.mark.parametrize("units", [Units(), Units(kind="sentencepiece", size=40)])
def test_the_count_is_known_before_any_text_is_read(units: Units) -> None:
    assert units.tokenizer(texts()).n_units == units.count()


def test_a_size_that_cannot_be_is_refused_with_the_reason() -> None:
    with pytest.raises(BadOption, match=r"units\.size 5000 is more .*: lower it to (\d+)") as most:
        SubwordTokenizer.learn(texts(), 5000)
    found = re.search(r"lower it to (\d+)", str(most.value))
    assert found and SubwordTokenizer.learn(texts(), int(found[1])).n_units == int(found[1])


@pytest.mark.parametrize(
    ("learnt_from", "size", "words"),
    [
        (["the cat sat on the mat"], 5, "size 5 is less .* raise it to 11 or more"),
        (["the cat sat on the mat"], 0, "size 0: give another size"),
        ([], 20, "no training texts .* check data.train"),
        ([""], 20, "no training texts"),
    ],
)
def test_sizes_that_do_not_suit_are_refused_in_our_words(
    learnt_from: list[str], size: int, words: str
) -> None:
    with pytest.raises(BadOption, match=words) as caught:
        SubwordTokenizer.learn(learnt_from, size)
    assert ".cc" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_model_is_refused_in_our_words() -> None:
    with pytest.raises(BadData, match="SentencePiece model cannot be read: copy") as caught:
        SubwordTokenizer(b"junk")
    assert ".cc" not in str(caught.value)


@pytest.mark.parametrize("alphabet", ["abc", "a b a"])
def test_an_alphabet_without_space_or_with_repeats_is_refused(alphabet: str) -> None:
    with pytest.raises(BadOption, match="space"):
        CharacterTokenizer(alphabet)


def test_no_units_have_no_words(tokenizer: Tokenizer) -> None:
    assert tokenizer.word_spans([]) == []
    assert tokenizer.decode([]) == ""


def test_an_alphabet_from_texts_leaves_out_what_is_rare_and_what_is_read_aloud() -> None:
    units = Units(alphabet=FROM_TEXTS, fewest=2)
    alphabet, counts = units.alphabet_of(["süß süß", "so 5 %", "ø"])
    assert alphabet == " sßü" and list(counts.items())[:2] == [("ø", 1), ("o", 1)]
    assert units.tokenizer(["ää é"]).unknown("äé") == {"é"}
    with pytest.raises(BadOption, match="occurs 2 times"):
        units.alphabet_of(["ab"])
    with pytest.raises(BadOption, match="fewest 2 has no effect"):
        Units(fewest=2)
