"""The English normaliser: two spellings of the same words become the same text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import BadData
from asr.text.english import english


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Mr. Brown won't pay $2,500!",
            "mister brown will not pay two thousand five hundred dollars",
        ),
        ("Two and a half million euros.", "€2.5 million"),
        ("fifty per cent", "50%"),
        ("the twenty-first of May", "the 21st of may"),
        ("in the nineteen sixties", "in the 1960s"),
        ("two dollars and seven cents", "$2.07"),
        ("double three seven", "337"),
        ("three point one four", "3.14"),
        ("I'd've thought they're here", "i would have thought they are here"),
        ("um, the colour of, uh, [noise] theatre (sic) doors", "the color of theater doors"),
        ("Café naïve", "cafe naive"),
    ],
)
def test_two_ways_of_writing_the_same_words_are_equal(one: str, other: str) -> None:
    assert english(one) == english(other)


@pytest.mark.parametrize("text", ["a good cause", "kinda", "sorta", "dunno"])
def test_words_that_whisper_leaves_alone_are_left_alone(text: str) -> None:
    """The package rewrites them, but published figures were made without that."""
    assert english(text) == text


@settings(deadline=None)
@given(st.text())
def test_any_text_becomes_words_and_single_spaces(text: str) -> None:
    normal = english(text)
    assert normal == " ".join(normal.split())


def test_fillers_alone_leave_nothing() -> None:
    assert english("Um, hmm. [laughs]") == ""


def test_a_number_of_thousands_of_digits_is_refused_in_one_sentence() -> None:
    with pytest.raises(BadData, match="too many digits; mend the text"):
        english(f"a {'9' * 5000}")
