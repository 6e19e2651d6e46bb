from hypothesis import given
from hypothesis import strategies as st

from asr.text import normalise


def test_case_punctuation_and_quotes_are_levelled() -> None:
    assert normalise("  “Don’t,” SAID\tMr. O'Neil—'twas late… ") == "don't said mr o'neil twas late"


def test_what_is_read_aloud_is_not_dropped_in_silence() -> None:
    assert normalise("50 % of £3") == "50 % of £3"
    assert normalise("Rock & Roll, #1 @home") == "rock & roll #1 @home"
    assert normalise("Ünïcode naïve") == "ünïcode naïve"


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert once == " ".join(once.split())
