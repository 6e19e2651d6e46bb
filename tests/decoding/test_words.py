"""Words from hypotheses: frames and certainty; transcripts from words: times and confidence."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.decoding import (
    Calibration,
    DecodedWord,
    Hypothesis,
    Logistic,
    by_character,
    decoded_words,
    stretches,
    times,
    transcript,
)
from asr.errors import BadData
from asr.text import CharacterTokenizer, SubwordTokenizer, Tokenizer

CHARACTERS = CharacterTokenizer()
SUBWORDS = SubwordTokenizer.learn(["the cat sat on the mat", "a cat on a mat sat"] * 4, 14)
FRAME_S = 0.04
EVEN = Logistic((0.0,) * 4, 0.0)
NEVER = Logistic((0.0,) * 4, -5.0)
LOUD = Logistic((10.0, 0.0, 0.0, 0.0), -10.0)  # speech from e letters on


def spelled(text: str) -> Hypothesis:
    """A hypothesis with one unit every other frame."""
    units = tuple(CHARACTERS.encode(text))
    frames = range(0, 2 * len(units), 2)
    ends = tuple(frame + 1 for frame in frames)
    return Hypothesis(units, tuple(frames), ends, (0.5,) * len(units), 0.0)


def heard(hypothesis: Hypothesis, sure: NDArray[np.float32]) -> list[DecodedWord]:
    blank = np.full(len(sure), np.log(0.25), np.float32)
    return decoded_words(hypothesis, CHARACTERS.word_spans(hypothesis.units), sure, blank)


def word(text: str, start: int, end: int, certainty: float = 0.5) -> DecodedWord:
    return DecodedWord(text, start, end, certainty, 0.5, certainty, float(end - start))


def test_words_have_the_frames_of_their_units() -> None:
    sure = np.linspace(0.1, 0.9, 9, dtype=np.float32)
    one, cat = heard(spelled("a cat"), sure)
    assert (one.text, one.start, one.end) == ("a", 0, 1)
    assert (cat.text, cat.start, cat.end) == ("cat", 4, 9)
    assert cat.certainty == pytest.approx(0.5)
    assert cat.doubt == pytest.approx(-np.log(sure[4:9]).sum(), rel=1e-5)
    assert cat.spelled == pytest.approx(5 * 0.75)


def test_the_last_word_may_end_with_the_lattice() -> None:
    (found,) = heard(spelled("a"), np.array([0.25], dtype=np.float32))
    assert (found.start, found.end, found.certainty) == (0, 1, 0.25)


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_without_words_there_is_no_speech(text: str) -> None:
    sure = np.full(2 * len(text), 0.5, dtype=np.float32)
    found = transcript(heard(spelled(text), sure), FRAME_S, 1.5)
    assert (found.text, found.words, found.confidence) == ("", (), 0.0)
    assert found.no_speech
    assert found.duration == 1.5


def test_a_transcript_has_the_mean_confidence_of_its_words() -> None:
    found = transcript([word("a", 0, 1, 0.9), word("cat", 4, 9, 0.4)], FRAME_S, 2.0)
    assert found.text == "a cat"
    assert [(one.start, one.end) for one in found.words] == [(0.0, 0.07), (0.07, 0.36)]
    assert [one.confidence for one in found.words] == [0.9, 0.4]
    assert found.confidence == pytest.approx(0.65)


def test_a_calibration_says_how_often_such_words_are_right() -> None:
    found = transcript([word("a", 0, 1, 0.9)], FRAME_S, 2.0, Calibration(confidence=EVEN))
    assert found.confidence == 0.5


def test_what_is_no_speech_has_no_words() -> None:
    heard = [word("a", 0, 1), word("i", 24, 25), word("rooster", 60, 80)]
    assert [len(run) for run in stretches(heard, 25)] == [2, 1]
    assert [len(run) for run in stretches(heard, 23)] == [1, 1, 1]
    known = Calibration(speech=LOUD)
    assert transcript(heard, FRAME_S, 4.0, known).text == "rooster"
    silent = transcript(heard, FRAME_S, 4.0, Calibration(speech=NEVER))
    assert (silent.text, silent.no_speech) == ("", True)


def test_words_that_the_frames_do_not_spell_are_no_speech() -> None:
    known = Calibration(speech=Logistic((0.0, 0.0, 0.0, 1.0), 1.0))  # a frame for three letters
    said = word("yes", 4, 8)
    guessed = replace(said, spelled=0.2)
    for one, text in ((said, "yes"), (guessed, "")):
        assert transcript([one], FRAME_S, 1.0, known).text == text


def test_the_last_word_ends_with_the_recording() -> None:
    # 400 samples fill one frame, which lasts 40 ms where the recording lasts 25.
    found = transcript([word("a", 0, 1)], FRAME_S, 0.025)
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
    duration = max(0.0, frame * FRAME_S - 0.0149)  # a last frame reaches up to 15 ms too far
    hypothesis = Hypothesis(tuple(units), tuple(starts), tuple(ends), (0.5,) * len(units), -1.0)
    sure = np.full(frame, 0.5, dtype=np.float32)
    known = Calibration(end_offset=data.draw(st.floats(-0.5, 0.5)))
    words = decoded_words(hypothesis, tokenizer.word_spans(units), sure, np.zeros_like(sure))
    found = transcript(words, FRAME_S, duration, known)
    assert found.text == tokenizer.decode(units)
    for one in found.words:
        assert 0.0 <= one.start < one.end <= duration
    for earlier, later in pairwise(found.words):
        assert earlier.end <= later.start


def test_words_meet_in_short_gaps_and_end_later_before_pauses() -> None:
    runs = [(10, 15), (16, 20), (50, 60)]
    bounds = times(runs, FRAME_S, 2.45, 0.1)
    assert bounds == [(0.4, 0.61), (0.61, pytest.approx(0.9)), (2.0, 2.45)]
    assert times(runs, FRAME_S, 2.45)[1:] == [(0.61, 0.8), (2.0, 2.4)]


def test_a_calibration_survives_being_stored() -> None:
    known = Calibration(EVEN, LOUD, 0.06)
    assert Calibration.of(known.to_dict()) == known
    assert Calibration.of({}) == Calibration()


def test_a_calibration_of_the_version_before_reads_as_it_did() -> None:
    earlier = {"speech": {"weights": [10.0, 2.0, 1.0], "bias": -10.0}}
    known = Calibration.of(earlier).speech
    assert known == Logistic((10.0, 2.0, 1.0, 0.0), -10.0)


@pytest.mark.parametrize(
    "harm",
    [
        {"end_offset": 9.0},
        {"end_offset": float("nan")},
        {"end_offset": "late"},
        {"speech": {"weights": [1.0], "bias": 0.0}},
        {"confidence": {"weights": [1.0, 2.0, float("nan")], "bias": 0.0}},
        {"confidence": {"bias": 0.0}},
        {"confidence": 3},
        {"temperature": 2.0},
    ],
)
def test_a_calibration_that_cannot_be_is_refused(harm: dict[str, object]) -> None:
    with pytest.raises(BadData, match="calibration"):
        Calibration.of(harm)


def test_scripts_without_spaces_have_a_word_for_each_character_with_its_marks() -> None:
    thai = CharacterTokenizer(" abดื่มนำ้")
    units = thai.encode("ab ดื่มน้ำ")
    spans = by_character(thai.word_spans(units), units, thai.spellings)
    assert list(spans) == [
        ("ab", 0, 2), ("ดื่", 3, 6), ("ม", 6, 7), ("น้", 7, 9), ("ำ", 9, 10),
    ]  # fmt: skip


def test_units_of_several_characters_are_not_cut() -> None:
    spans = by_character([("你好吗", 0, 3)], [1, 3, 2], ["", "▁你好", "吗", "▁"])
    assert list(spans) == [("你好", 0, 2), ("吗", 2, 3)]


def test_the_text_of_such_words_has_no_spaces() -> None:
    words = [DecodedWord(text, at, at + 1, 1.0, 0.0, 1.0, 1.0) for at, text in enumerate("你好ab")]
    assert transcript(words, FRAME_S, 1.0).text == "你好a b"
