"""Digits and signs in texts: words where there is one reading, else they stay and are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import BadOption
from asr.text.normalise import is_read_aloud, normalise
from asr.text.numbers import read_numbers

SPELLED = {
    ("en", "I have 21 of 1,234.5 (it says 0)."): (
        "i have twenty one of one thousand two hundred and thirty four point five it says zero"
    ),
    ("en", "In 1984, the 22nd & the 1st: 50 % or 7%."): (
        "in nineteen eighty four the twenty second and the first fifty percent or seven percent"
    ),
    ("de", "Es sind 1.234,5 und 50 % & 21."): (
        "es sind eintausendzweihundertvierunddreißig komma fünf und fünfzig prozent und "
        "einundzwanzig"
    ),
    ("fr", "les 20 300 gens, 3,5"): "les vingt mille trois cents gens trois virgule cinq",
    ("ru", "1 000 человек"): "одна тысяча человек",
    ("ja", "21"): "二十一",
}
UNSURE = [
    ("en", word)
    for word in ("3.12.2020", "10:30", "20-30", "£5", "007", "1990s", "-5", "1.50", "#1", "²", "½")
] + [("de", "der 3. Mann"), ("de", "1,000.5"), ("th", "5%"), ("en", "9" * 13)]


@pytest.mark.parametrize("language, written", SPELLED)
def test_numbers_with_one_reading_become_words(language: str, written: str) -> None:
    spelled = read_numbers("spell", language)(written)
    assert normalise(spelled, language) == SPELLED[language, written]


@pytest.mark.parametrize("language, written", UNSURE)
def test_what_can_be_read_in_several_ways_stays(language: str, written: str) -> None:
    assert read_numbers("spell", language)(written) == written


@given(st.text())
def test_what_is_dropped_is_all_that_is_read_aloud(text: str) -> None:
    left = read_numbers("drop", "en")(text)
    assert not any(map(is_read_aloud, left))
    assert read_numbers("refuse", "en")(text) == text


@given(st.text("0123456789., %&st(1)"), st.sampled_from(["en", "de", "fr", "ru"]))
def test_any_text_of_digits_is_read_or_left(text: str, language: str) -> None:
    spelled = read_numbers("spell", language)(text)
    left = [word for word in spelled.split() if any(map(is_read_aloud, word))]
    assert all(word in text.replace(" ", "") for word in left)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(BadOption, match="choose from refuse, spell, drop"):
        read_numbers("guess", "en")
    with pytest.raises(BadOption, match="no words for numbers in Greek"):
        read_numbers("spell", "el")
