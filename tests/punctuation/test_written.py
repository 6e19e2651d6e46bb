"""Plain words as people write them, by a model that puts marks everywhere."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_marks import random_checkpoint, random_model

from asr.bundle.session import session
from asr.errors import BadBundle
from asr.export.punctuation import punctuation_graph
from asr.model.config import Cell
from asr.punctuation import GivenForms, Punctuator, Writer, written_words
from asr.punctuation.marks import MARKS, read_back
from asr.punctuation.model import AFTER, BLOCK
from asr.punctuation.numbers import is_read_as
from asr.punctuation.pieces import PIECES, pieces
from asr.punctuation.sound import SOUND, sound


@dataclass(frozen=True)
class Spoken:
    text: str
    start: float = math.nan
    end: float = math.nan


SAMPLE = """
    the man mcdonald i i'm don't nineteen forty five one of them a thousand times no seven percent
    fifty dollars and cents a hundred dollar bill oh two o'clock
    \u00df stra\u00dfe \u03c3 \u0131 \u4f60 second first p m
"""
WORDS = st.lists(st.sampled_from(SAMPLE.split()), max_size=200)


def spoken(words: Sequence[str], pauses: Sequence[float] = ()) -> list[Spoken]:
    """Words of 0.3 s, with pauses between them."""
    now, said = 0.0, []
    for place, word in enumerate(words):
        said.append(Spoken(word, now, now + 0.3))
        now += 0.3 + (pauses[place % len(pauses)] if pauses else 0.1)
    return said


def check_plain(words: Sequence[Spoken], written: Sequence[str]) -> None:
    """Guarantee 13: without marks, in lower case, numbers spelled out, it is the plain text."""
    assert len(words) == len(written)
    place = 0
    while place < len(words):
        end = place + 1
        while end < len(words) and written[end] == "":
            end += 1
        form, _ = read_back(written[place])
        plain = [word.text for word in words[place:end]]
        assert [form.lower()] == plain or is_read_as(form, plain), (plain, form)
        place = end


@settings(max_examples=60)
@given(WORDS, st.lists(st.floats(0, 3), max_size=5), st.booleans())
def test_written_is_plain(
    punctuator: Punctuator, words: list[str], pauses: list[float], digits: bool
) -> None:
    said = spoken(words, pauses)
    written = [found.written for found in written_words(punctuator, said, "en" if digits else None)]
    check_plain(said, written)
    if not digits:
        assert all(written)


@settings(max_examples=60)
@given(WORDS, st.lists(st.text("aßIiσΣ man'’-.1é", max_size=12), max_size=8))
def test_written_with_given_capitals_is_plain(
    punctuator: Punctuator, words: list[str], phrases: list[str]
) -> None:
    given = GivenForms([*phrases, "McDonald", "THE MAN", "Nineteen", "O'CLOCK", "İ"])
    writer = Writer[Spoken](punctuator, "en", given)
    said = spoken(words)
    check_plain(said, [found.written for found in (*writer.add(said), *writer.end())])


def test_capitals_are_those_that_the_caller_gives(shipped: Punctuator) -> None:
    phrases = ["iPhone", "pH", "Zoe McDONALD", "o’NEILL", "COVID", "hyrule", "Boeing 747", "US"]
    given = GivenForms([*phrases, "Will", "Dr. Quilter"], knows={"us", "will"}.__contains__)
    text = "the iphone tells us that the ph will rise as zoe mcdonald and o'neill had covid in may"
    writer = Writer[Spoken](shipped, "en", given)
    said = spoken(text.split())
    found = [read_back(one.written)[0] for one in (*writer.add(said), *writer.end())]
    assert " ".join(found) == (
        "The iPhone tells us that the pH will rise as Zoe McDONALD and o'NEILL had COVID in May"
    )


def test_marks_capitals_and_digits_are_put(punctuator: Punctuator) -> None:
    text = "mcdonald it was in nineteen thirty six that they gave two thousand dollars or twelve "
    words = f"{text} percent to them".split() * 30
    written = [found.written for found in written_words(punctuator, spoken(words), "en")]
    assert len({read_back(text)[1] for text in written}) > 2
    assert any("$2,000" in text for text in written) and any("12%" in text for text in written)
    assert any("McDonald" in text for text in written)
    assert any(text[:1].isupper() for text in written)


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + AFTER, 333])
def test_words_that_come_one_by_one_are_written_as_together(
    punctuator: Punctuator, count: int
) -> None:
    words = spoken([f"word{place * 7 % 50}" for place in range(count)])
    together = list(punctuator.answers(words))
    assert len(together) == count
    seen = 0

    def one_by_one() -> Iterator[Spoken]:
        nonlocal seen
        for word in words:
            seen += 1
            yield word

    for place, answer in enumerate(punctuator.answers(one_by_one())):
        assert answer == together[place]
        assert seen <= place + BLOCK + AFTER  # settled within so many words
    assert seen == count


def test_what_is_far_away_changes_nothing(punctuator: Punctuator) -> None:
    words = spoken([f"word{place * 7 % 50}" for place in range(600)])
    changed = [*words[:300], *spoken(["other"] * 300)]
    first = list(islice(punctuator.answers(words), 200))
    assert first == list(islice(punctuator.answers(changed), 200))


def test_a_number_does_not_go_on_over_a_long_pause(punctuator: Punctuator) -> None:
    said = [Spoken("nineteen", 0.0, 0.5), Spoken("forty", 3.0, 3.5), Spoken("five", 3.5, 4.0)]
    written = [found.written for found in written_words(punctuator, said, "en")]
    assert written[1] != ""


def grouped(groups: Sequence[str], pause: float, before: str, after: str) -> list[Spoken]:
    """Words without a gap between them, and groups of words with pauses around them."""
    now, said = 0.0, []
    for group, gap in ((before, 0.0), *((group, pause) for group in groups), (after, 0.0)):
        for word in group.split():
            said.append(Spoken(word, now, now + 0.3))
            now += 0.3
        now += gap
    return said


@pytest.mark.parametrize("pause", [0.05, 0.2, 0.4, 0.7])
@pytest.mark.parametrize(
    ("groups", "number"),
    [
        (["five five five", "one seven three four"], "5551734"),
        (["nine five six oh", "four two three"], "9560423"),
        (["oh seven seven", "nine one", "six four oh two"], "077916402"),
    ],
)
def test_digits_said_in_groups_are_one_number(
    shipped: Punctuator, groups: list[str], number: str, pause: float
) -> None:
    said = grouped(groups, pause, "my number is", "call me after six")
    written = [found.written for found in written_words(shipped, said, "en") if found.written]
    assert number in [read_back(text)[0] for text in written], written


@pytest.mark.parametrize(
    ("groups", "before", "after"),
    [
        (["one", "five", "seven", "nine"], "the answers are", "and no more"),
        (["one two three", "four five six"], "he counted", "and then ran"),
        (["five", "five men came"], "it was ten past", "in"),
    ],
)
def test_digits_that_are_no_number_stay_words(
    shipped: Punctuator, groups: list[str], before: str, after: str
) -> None:
    said = grouped(groups, 0.4, before, after)
    written = [read_back(found.written)[0] for found in written_words(shipped, said, "en")]
    assert [text.lower() for text in written] == [word.text for word in said]


def test_letters_that_spell_a_name_have_one_case(punctuator: Punctuator) -> None:
    said = spoken([*"bcdfghjklmnpqrstvwxz"] * 20)
    row: set[bool] = set()
    cases = set()
    for found in written_words(punctuator, said, None):
        row.add(found.written[0].isupper())
        if read_back(found.written)[1]:
            assert len(row) == 1
            cases, row = cases | row, set()
    assert cases


def test_a_sentence_begins_with_a_capital(punctuator: Punctuator) -> None:
    said = spoken([f"word{place * 7 % 50}" for place in range(300)])
    written = [found.written for found in written_words(punctuator, said, "en")]
    after = [b for a, b in pairwise(written) if a.endswith(".")]
    assert after and all(text[0].isupper() for text in after)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_graph_says_what_torch_says(
    cell: Cell, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = random_checkpoint(tmp_path_factory.mktemp("cell") / f"{cell}.ckpt", cell)
    made = punctuation_graph(path)
    model, words = random_model(cell), [f"word{place}" for place in range(70)]
    rows = torch.from_numpy(pieces(words, model.config.rows))[None]
    heard = torch.from_numpy(sound(words, np.arange(70.0), np.arange(70.0) + 0.4))[None]
    with torch.inference_mode():
        expected = torch.cat(model(rows, heard, torch.tensor([70])), dim=-1)[0].numpy()
    found = Punctuator(session(made.content)).log_probs(words, heard[0].numpy())
    assert np.abs(np.exp(found) - np.exp(expected)).mean() < 0.01
    assert made.about["divergence"] < 0.02


def test_unknown_words_have_pieces_of_their_own() -> None:
    found = pieces(["fredrickson", "x", "", "\u4f60\u597d", "a" * 10_000], 1000)
    assert found.shape == (5, PIECES) and found.max() < 1000
    assert (found[:, :2] > 0).all()
    assert len({tuple(row) for row in found}) == 5


def test_sound_that_is_not_known_is_zero() -> None:
    assert (sound(["a", "b"], [math.nan] * 2, [math.nan] * 2) == 0).all()
    heard = sound(["a", "b", "c"], [0.0, 0.5, 3.0], [0.4, 0.6, 3.2])
    assert heard.shape == (3, SOUND)
    assert heard[:, 0].tolist() == [1, 1, 0] and 0 < heard[0, 1] < heard[1, 1] < 1


def test_a_model_of_another_kind_is_refused(tiny_bundle: object) -> None:
    with pytest.raises(BadBundle, match="model of marks is damaged"):
        Punctuator(session(tiny_bundle / "model.onnx"))  # type: ignore[operator]


def test_every_mark_is_one_sign() -> None:
    assert all(len(mark) == 1 for mark in MARKS[1:])
