"""Segments and paragraphs: every word once, in order, cut where the rules say."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asr.transcript import Layout, Transcript, Word, paragraphs, write
from asr.transcript.paragraphs import FULL_S
from asr.transcript.paragraphs import PAUSE_S as LONG_S
from asr.transcript.segments import PAUSE_S


@st.composite
def conversations(draw: st.DrawFn) -> Transcript:
    """What is said in two channels or in none, in each of them in order of time."""
    words = []
    for channel in draw(st.sampled_from([(None,), (1,), (1, 2)])):
        now = draw(st.floats(0, 5))
        for gap in draw(st.lists(st.sampled_from([0.0, 0.3, 0.9, 3.0]), max_size=40)):
            words.append(Word(f"w{len(words)}", now, now + 3.0, 0.5, channel))
            now += 3.0 + gap
    return Transcript(" ".join(word.text for word in words), tuple(words), 0.5, 400.0, not words)


def spoken(*texts: tuple[str, float], channel: int | None = None) -> tuple[Word, ...]:
    """One word of a second for each text and start."""
    return tuple(Word(text, start, start + 1.0, 0.5, channel) for text, start in texts)


def transcript(words: tuple[Word, ...], duration: float = 100.0) -> Transcript:
    return Transcript(" ".join(word.text for word in words), words, 0.5, duration, False)


@given(conversations())
def test_every_word_stands_in_one_segment_of_its_channel(said: Transcript) -> None:
    found = said.segments
    for channel in (None, 1, 2):
        held = [word for one in found if one.channel == channel for word in one.words]
        assert held == [word for word in said.words if word.channel == channel]
    assert [one.start for one in found] == sorted(one.start for one in found)


@given(conversations())
def test_segments_end_at_pauses_and_nowhere_else(said: Transcript) -> None:
    for channel in (None, 1, 2):
        found = [one for one in said.segments if one.channel == channel]
        assert all(after.start - one.end >= PAUSE_S for one, after in pairwise(found))
        for one in found:
            assert all(b.start - a.end < PAUSE_S for a, b in pairwise(one.words))
            assert one.text.split() == [word.text for word in one.words]


@given(conversations())
def test_paragraphs_hold_every_segment_in_order(said: Transcript) -> None:
    found = list(paragraphs(said.segments))
    assert [one for part in found for one in part] == list(said.segments)
    for part in found:
        assert len({one.channel for one in part}) == 1
        assert all(after.start - one.end < LONG_S for one, after in pairwise(part))
        assert all(one.end - part[0].start < FULL_S for one in part[:-1])


def test_a_short_recording_is_one_line_and_a_long_one_is_paragraphs() -> None:
    words = spoken(("one", 1.0), ("two", 2.5), ("three", 8.0))
    assert write(transcript(words, 60.0), "txt") == "one two three\n"
    assert write(transcript(words, 60.1), "txt") == "one two\n\nthree\n"


def test_timestamps_head_paragraphs_of_any_recording() -> None:
    words = spoken(("one", 1.99), ("two", 3725.0))
    stamped = write(transcript(words, 10.0), "txt", layout=Layout(timestamps=True))
    assert stamped == "[00:00:01] one\n\n[01:02:05] two\n"
    silence = Transcript("", (), 0.0, 100.0, True)
    assert write(silence, "txt", layout=Layout(timestamps=True)) == "\n"


def test_two_channels_are_told_in_the_order_of_time() -> None:
    ann = spoken(("hello", 0.0), ("well", 5.0), channel=1)
    bob = spoken(("hi", 2.0), channel=2)
    said = transcript((*ann, *bob))
    assert [one.text for one in said.segments] == ["hello", "hi", "well"]
    assert [one.to_dict()["channel"] for one in said.segments] == [1, 2, 1]
    assert [line.split()[1] for line in write(said, "ctm").splitlines()] == ["1", "1", "2"]


def test_words_of_split_channels_are_in_order_of_time_and_their_text_turn_by_turn() -> None:
    left = transcript(spoken(("a", 0.0), ("b", 1.2), ("c", 2.4)))
    right = transcript(spoken(("x", 0.5), ("y", 1.7), ("z", 2.4)))
    both = Transcript.together([right, left])
    assert both.text == both.plain == "a b c x y z"
    assert [word.text for word in both.by_turns] == both.text.split()
    assert "".join(word.text for word in both.words) == "axbyzc"
    assert [word["text"] for word in both.to_dict()["words"]] == list("axbyzc")
    ctm = [line.split() for line in write(both, "ctm").splitlines()]
    assert [fields[4] for fields in ctm] == list("xyzabc")
