"""Written text as plain words, their cases and their marks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.punctuation.marks import CAPITAL, CASES, LOWER, MARKS, MIXED, cased, parse, read_back
from asr.text import normalise


def parsed(text: str) -> str:
    """The words with their marks, and what has no one reading as `#`."""
    words = parse(text)
    return " ".join("#" if word is None else f"{word.form}{MARKS[word.mark]}" for word in words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Yes, sir; go!", "Yes, sir; go!"),
        ('"Oh, my dear," he said. "Why?"', "Oh, my dear, he said. Why?"),
        ("'Is it?' asked she.", "Is it? asked she."),
        ("(So he did.) Well", "So he did. Well"),
        ("Twenty-five old-fashioned men", "Twenty five old fashioned men"),
        ("He stopped -- then went on.", "He stopped\u2014 then went on."),
        ("the house--or not", "the house\u2014 or not"),
        ("died- -of sheer flaxen- haired", "died\u2014 of sheer flaxen haired"),
        ("Wait... Go", "Wait. Go"),
        ("I ... think", "I\u2014 think"),
        ("Mr. Brown and Dr. Watson, etc., came.", "Mister Brown and Doctor Watson, etc, came."),
        ("J. P. Morgan is it. I. No", "J P Morgan is it. I. No"),
        ("What?!", "What?"),
        ("In 1862 he had $5", "In # he had #"),
        ("don\u2019t; O\u2019Brien\u2019s", "don\u2019t; O\u2019Brien\u2019s"),
        ("", ""),
        ("-- ,", ""),
    ],
)
def test_a_text_is_parsed_as_people_read_it(text: str, words: str) -> None:
    assert parsed(text) == words


@given(st.text(alphabet="ab Ic.?!:;,-'\"\u2014\u2019()1\u00df\u0130", max_size=60))
def test_any_text_has_plain_words(text: str) -> None:
    for word in parse(text):
        if word is not None:
            assert normalise(word.plain) == word.plain and word.plain.split() == [word.plain]


@given(
    st.text(min_size=1, max_size=12).map(normalise).filter(lambda word: word and " " not in word),
    st.integers(0, len(CASES) - 1),
)
def test_a_cased_word_in_lower_case_is_the_word(word: str, case: int) -> None:
    assert cased(word, case, {}).lower() == word.lower()


def test_a_word_has_the_form_that_is_known_of_it() -> None:
    assert cased("mcdonald", MIXED, {"mcdonald": "McDonald"}) == "McDonald"
    assert cased("o'brien", MIXED, {}) == cased("o'brien", CAPITAL, {}) == "O'Brien"
    assert cased("mcdonald's", CAPITAL, {}) == "McDonald's"
    assert cased("o'clock", CAPITAL, {}) == "O'clock" and cased("o'er", CAPITAL, {}) == "O'er"
    assert cased("mcdonald", LOWER, {}) == "mcdonald"
    assert cased("'tis", 1, {}) == "'Tis"


@pytest.mark.parametrize("mark", MARKS[1:])
def test_a_mark_is_read_back(mark: str) -> None:
    assert read_back(f"Word{mark}") == read_back(f"Word {mark}") == ("Word", MARKS.index(mark))
    assert read_back("") == ("", 0)
