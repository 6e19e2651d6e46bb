"""Phones as units beside letters."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import BadData, BadOption
from asr.text import BLANK, PhoneTokenizer, Pronouncer, Units, tokenizer_from_state
from asr.text.phones import ENGLISH_PHONES, SPACE
from asr.text.pronunciations import Pronunciations

WORDS = st.lists(
    st.lists(st.sampled_from(ENGLISH_PHONES), min_size=1, max_size=5).map(tuple), max_size=5
)


@given(WORDS)
def test_pronunciations_survive_the_round_trip(words: list[tuple[str, ...]]) -> None:
    tokenizer = PhoneTokenizer()

    units = tokenizer.pronounce(words)

    assert BLANK not in units and all(unit < tokenizer.n_phones for unit in units)
    spelled = " ".join(tokenizer.phones_of(units))
    assert spelled == " | ".join(" ".join(word) for word in words)


def test_letters_stay_the_first_head() -> None:
    units = Units(kind="phones")
    tokenizer = units.tokenizer([])

    assert (units.count(), units.count_phones()) == (tokenizer.n_units, tokenizer.n_phones)
    assert tokenizer.decode(tokenizer.encode("don't go")) == "don't go"
    assert Units().count_phones() == Units().tokenizer([]).n_phones == 0


def test_a_tokenizer_is_rebuilt_from_its_state() -> None:
    tokenizer = PhoneTokenizer(["a", "b:"], " xy")

    again = tokenizer_from_state(tokenizer.state())

    assert isinstance(again, PhoneTokenizer)
    assert again.pronounce([("b:",), ("a",)]) == [SPACE + 2, SPACE, SPACE + 1]
    assert again.state() == tokenizer.state()


def test_a_lexicon_gives_words_their_usual_pronunciation(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.tsv"
    path.write_text("﻿the\tDH AH\nthe\tDH IY\ncat\tK AE T\n", encoding="utf-8")

    pronounce = Pronouncer(PhoneTokenizer(), Pronunciations.load(path))

    assert pronounce.tokenizer.phones_of(pronounce("the cat")) == ["DH", "AH", "|", "K", "AE", "T"]
    assert pronounce.unknown("the dog and the cat") == ["dog", "and"]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(BadData, match="'XX'"):
        PhoneTokenizer().pronounce([("XX",)])
    with pytest.raises(BadOption, match="none empty or twice"):
        PhoneTokenizer(["A", "A"])
    with pytest.raises(BadOption, match=r"units\.phones has no effect"):
        Units(phones=("A",))
