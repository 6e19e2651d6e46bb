"""The English normaliser: what is said the same way becomes the same text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.evaluation import english
from asr.evaluation.numbers import numerals
from asr.evaluation.spelling import american

ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spoken(number: int, joined: str = "") -> str:
    """A whole number as it is read; `joined` is said between hundreds and the rest."""
    for size, name in (
        (10**9, "billion"),
        (10**6, "million"),
        (1000, "thousand"),
        (100, "hundred"),
    ):
        if number >= size:
            rest = number % size
            link = joined if rest < 100 else " "
            return f"{spoken(number // size, joined)} {name}" + (
                f"{link or ' '}{spoken(rest, joined)}" if rest else ""
            )
    if number < 20:
        return ONES[number]
    return TENS[number // 10 - 2] + (f" {ONES[number % 10]}" if number % 10 else "")


@settings(deadline=None)
@given(st.integers(2, 10**12 - 1), st.sampled_from([" ", " and "]))
def test_a_spoken_number_is_its_digits(number: int, joined: str) -> None:
    assert numerals(spoken(number, joined).split()) == [str(number)]


@settings(deadline=None)
@given(st.integers(10, 19), st.integers(10, 99))
def test_years_are_read_in_pairs(century: int, year: int) -> None:
    assert english(f"in {spoken(century)} {spoken(year)} then") == f"in {century}{year} then"


@settings(deadline=None)
@given(st.lists(st.sampled_from(ONES[1:10]), min_size=2, max_size=8))
def test_digits_said_one_by_one_stand_side_by_side(words: list[str]) -> None:
    assert numerals(words) == ["".join(str(ONES.index(word)) for word in words)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Mr. Brown won't pay $2,500!",
            "mister brown will not pay two thousand five hundred dollars",
        ),
        ("Two and a half million euros.", "€2.5 million"),
        ("fifty per cent", "50 %"),
        ("the twenty-first of May", "the 21st of may"),
        ("in the nineteen sixties", "in the 1960s"),
        ("two dollars and seven cents", "$2.07"),
        ("double oh seven", "007"),
        ("at three thirty", "at 3:30"),
        ("three point one four", "3.14"),
        ("minus five degrees at seven o'clock", "minus 5 degrees at 7 o'clock"),
        (
            "I'd've thought they're here; he's been",
            "i would have thought they are here he has been",
        ),
        ("um, the colour of, uh, [noise] theatre (sic) doors", "the color of theater doors"),
        ("the neighbour’s grey programme", "the neighbor's gray program"),
        ("Café naïve", "cafe naive"),
        ("I can't, I cannot", "i can not i can not"),
        ("nineteen oh five", "1905"),
        ("two hundred, three hundred", "200 300"),
    ],
)
def test_ways_of_writing_the_same_words_are_one(one: str, other: str) -> None:
    assert english(one) == english(other)


@pytest.mark.parametrize(
    "text",
    ["no one knows", "oh my god", "four hours of our tour", "a wise surprise", "one by one",
     "hundreds of people", "we equally totally agree", "advise the promised exercise"],
)  # fmt: skip
def test_what_is_no_number_and_no_spelling_stays(text: str) -> None:
    assert english(text) == text.replace("four", "4")


def test_words_that_differ_stay_apart() -> None:
    for one, other in (
        ("prise", "prize"),
        ("for", "four"),
        ("centred", "entered"),
        ("metal", "meter"),
    ):
        assert english(one) != english(other)


@pytest.mark.parametrize(
    ("british", "us"),
    [
        ("discolouration", "discoloration"), ("organisers", "organizers"), ("analysed", "analyzed"),
        ("travelling", "traveling"), ("jewellery", "jewelry"), ("kilometres", "kilometers"),
        ("centred", "centered"), ("manoeuvring", "maneuvering"), ("catalogues", "catalogs"),
        ("defenceless", "defenseless"), ("anaesthetic", "anesthetic"), ("foetus", "fetus"),
        ("fulfilment", "fulfillment"), ("skilful", "skillful"), ("smouldering", "smoldering"),
        ("judgement", "judgment"), ("cheques", "checks"), ("ploughed", "plowed"),
        ("practise", "practice"), ("storeys", "stories"), ("chequered", "checkered"),
    ],
)  # fmt: skip
def test_spellings_are_american(british: str, us: str) -> None:
    assert american(british) == us
    assert american(us) == us


@settings(deadline=None)
@given(st.text())
def test_any_text_becomes_words_and_single_spaces(text: str) -> None:
    found = english(text)
    assert found == " ".join(found.split())
    assert not any(char.isupper() and char.lower() != char for char in found)


def test_fillers_alone_leave_nothing() -> None:
    assert english("Um, hmm. [laughs]") == ""
