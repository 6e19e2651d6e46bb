"""Transcripts from hypotheses: words, times and confidence."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding import Hypothesis, transcript
from asr.text import CharacterTokenizer, SubwordTokenizer, Tokenizer

CHARACTERS = CharacterTokenizer()
SUBWORDS = SubwordTokenizer.learn(["the cat sat on the mat", "a cat on a mat sat"] * 4, 14)


def spelled(text: str, *confidences: float) -> Hypothesis:
    """A hypothesis with one unit every other frame."""
    units = tuple(CHARACTERS.encode(text))
    frames = range(0, 2 * len(units), 2)
    return Hypothesis(units, tuple(frames), tuple(frame + 1 for frame in frames), confidences, 0.0)


def test_words_carry_the_times_of_their_units() -> None:
    found = transcript(spelled("a cat", 0.9, 0.5, 0.8, 0.4, 0.6), CHARACTERS, 0.04, 2.0)
    assert found.text == "a cat"
    assert [(word.text, word.start, word.end) for word in found.words] == [
        ("a", 0.0, 0.04),
        ("cat", 0.16, 0.36),
    ]
    assert not found.no_speech


def test_a_word_is_as_sure_as_its_least_sure_unit() -> None:
    found = transcript(spelled("a cat", 0.9, 0.1, 0.8, 0.4, 0.6), CHARACTERS, 0.04, 2.0)
    assert [word.confidence for word in found.words] == [0.9, 0.4]
    assert found.confidence == pytest.approx(0.65)


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_without_words_there_is_no_speech(text: str) -> None:
    found = transcript(spelled(text, *[0.5] * len(text)), CHARACTERS, 0.04, 1.5)
    assert (found.text, found.words, found.confidence) == ("", (), 0.0)
    assert found.no_speech
    assert found.duration == 1.5


def test_the_last_word_ends_with_the_recording() -> None:
    # 400 samples fill one frame, which lasts 40 ms where the recording lasts 25.
    found = transcript(spelled("a", 0.5), CHARACTERS, 0.04, 0.025)
    assert (found.words[0].start, found.words[0].end) == (0.0, 0.025)


@given(st.data(), st.sampled_from([CHARACTERS, SUBWORDS]))
def test_times_follow_one_another_inside_the_recording(
    data: st.DataObject, tokenizer: Tokenizer
) -> None:
    units = data.draw(st.lists(st.integers(1, tokenizer.n_units - 1), max_size=30))
    gaps = data.draw(st.lists(st.integers(0, 5), min_size=len(units), max_size=len(units)))
    lasts = data.draw(st.lists(st.integers(1, 5), min_size=len(units), max_size=len(units)))
    starts, ends, frame = [], [], 0
    for gap, last in zip(gaps, lasts, strict=True):
        starts.append(frame + gap)
        frame += gap + last
        ends.append(frame)
    duration = max(0.0, frame * 0.04 - 0.0149)  # a last frame reaches up to 15 ms too far
    hypothesis = Hypothesis(
        tuple(units), tuple(starts), tuple(ends), tuple([0.5] * len(units)), -1.0
    )
    found = transcript(hypothesis, tokenizer, 0.04, duration)
    assert found.text == tokenizer.decode(units)
    for word in found.words:
        assert 0.0 <= word.start < word.end <= duration
    for earlier, later in pairwise(found.words):
        assert earlier.end <= later.start
