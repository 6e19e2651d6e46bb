"""What is settled stays, whatever later readings say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.transcript import Word
from service.live.settling import Settling, Shown

WORDS = st.sampled_from(["a", "man", "said", "Sir,", "5", ""])


def words(texts: str | list[str], first: float = 0.0) -> list[Word]:
    """Words of 0.3 s, with their written form."""
    given = texts.split() if isinstance(texts, str) else texts
    return [
        Word("x", first + 0.3 * at, first + 0.3 * at + 0.25, 0.9, written=text)
        for at, text in enumerate(given)
    ]


READINGS = st.lists(
    st.tuples(st.lists(WORDS, max_size=8), st.floats(0.0, 2.0)).map(lambda one: words(*one)),
    max_size=8,
)


@given(READINGS)
def test_settled_text_only_grows(readings: list[list[Word]]) -> None:
    settling, settled = Settling(), ""
    for reading in readings:
        shown = settling.read(reading)
        settled += shown.settled
        assert settling.text == settled
        assert shown.tentative == shown.tentative.rstrip()


@given(READINGS, READINGS)
def test_the_end_keeps_what_is_settled_or_says_nothing(
    readings: list[list[Word]], last: list[list[Word]]
) -> None:
    settling = Settling()
    for reading in readings:
        settling.read(reading)
    before, final = settling.text, (last or [[]])[0]
    shown = settling.end(final)
    whole = Settling()
    assert whole.end(final) is not None
    if shown is not None:
        assert before + shown.settled == whole.text and shown.tentative == ""
    else:
        assert settling.text == before


def test_two_readings_settle_what_they_agree_on_but_never_their_last_word() -> None:
    settling = Settling()
    assert settling.read(words("a man.")) == Shown("", "a man.")
    assert settling.read(words("a man said.")) == Shown("a", " man said.")
    assert settling.read(words("a man said to")) == Shown(" man", " said to")
    assert settling.end(words("a man said to us.")) == Shown(" said to us.", "")


def test_a_reading_that_says_otherwise_changes_nothing_that_is_settled() -> None:
    settling = Settling()
    settling.read(words("one two three"))
    settling.read(words("one two three"))
    assert settling.text == "one two"
    # A word more or less before what is settled ends moves no word behind it.
    assert settling.read(words("won two three")) == Shown("", " three")
    assert settling.read([words("onetwo")[0], *words("three", 0.6)]) == Shown("", " three")
    assert settling.end(words("won two three")) is None
    assert settling.text == "one two"


@pytest.mark.parametrize("readings", [[], [[]], [[], []]])
def test_nothing_said_settles_nothing(readings: list[list[Word]]) -> None:
    settling = Settling()
    for reading in readings:
        assert settling.read(reading) == Shown("", "")
    assert settling.end([]) == Shown("", "")
