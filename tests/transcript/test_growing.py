"""The content of a file that grows is that of the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.transcript import FORMATS, Growing, Layout, Transcript, Word, write


@st.composite
def spoken(draw: st.DrawFn) -> list[Word]:
    """Words of an hour or of seconds, plain or with marks."""
    now, words = draw(st.floats(0, 5)), list[Word]()
    marked = draw(st.booleans())
    for gap in draw(st.lists(st.sampled_from([0.0, 0.04, 0.79, 0.81, 2.5, 5.0]), max_size=40)):
        end = now + draw(st.sampled_from([0.1, 0.5, 4.0]))
        written = draw(st.sampled_from(["one", "one,", "One.", "", "11"])) if marked else None
        ends = marked and draw(st.booleans())
        words.append(Word("one", now, end, 0.5, written=written, ends_paragraph=ends))
        now = end + gap
    return words


@given(
    spoken(),
    st.lists(st.integers(0, 40), max_size=6).map(sorted),
    st.sampled_from(list(FORMATS)),
    st.builds(Layout, timestamps=st.booleans(), highlight_words=st.booleans()),
)
def test_parts_are_the_whole_wherever_they_end(
    words: list[Word], cuts: list[int], format: str, layout: Layout
) -> None:
    end = (words[-1].end if words else 0.0) + 61.0
    growing = Growing(format, "talk", layout)
    parts = [growing.add(Transcript.of(words[:cut], end)) for cut in cuts]
    whole = Transcript.of(words, end)
    assert "".join([*parts, growing.end(whole)]) == write(whole, format, "talk", layout)


@pytest.mark.parametrize(("format", "parts"), [("txt", 1), ("srt", 4), ("vtt", 4), ("json", 0)])
def test_parts_come_while_words_do(format: str, parts: int) -> None:
    """Five words, between them pauses of one second, and one of three."""
    starts = (0.0, 2.0, 4.0, 8.0, 10.0)
    words = [Word("one", start, start + 1.0, 0.5) for start in starts]
    growing = Growing(format)
    added = [growing.add(Transcript.of(words[:count], 100.0)) for count in range(1, 6)]
    assert sum(map(bool, added)) == parts
    assert growing.add(Transcript.of(words[:2], 100.0)) == ""  # read again after a fault


def test_split_channels_come_in_the_end() -> None:
    words = [Word("one", start, start + 1.0, 0.5, channel=1) for start in (0.0, 5.0, 9.0)]
    assert Growing("srt").add(Transcript.of(words, 100.0)) == ""
