"""A prompt's hot words: by rules that the documentation states, and no others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.prompt import LONGEST, LONGEST_PHRASE, MOST, hot_words


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("ZyntriQix, Digique Plus; CynapseFive\nnyx", "ZyntriQix|Digique Plus|CynapseFive|nyx"),
        ("Kubernetes", "Kubernetes"),
        ("Hello.", ""),
        ("Umm, let me think like, hmm... Okay, here's what I'm, like, thinking.", ""),
        (
            "The transcript is about OpenAI which makes technology like DALL·E, GPT-3, and "
            "ChatGPT with the hope of one day building an AGI system.",
            "OpenAI|DALL·E|GPT-3|ChatGPT|AGI",
        ),
        ('NASA sent Sally Ride and "Buzz Aldrin" too; I think.', "NASA|Sally Ride|Buzz Aldrin"),
        ("Those there: Ann, Mary Ann, and Ann.", "Ann|Mary Ann"),
        ("", ""),
        (" ,;\n, ", ""),
    ],
)
def test_lists_give_their_items_and_texts_their_names(prompt: str, expected: str) -> None:
    assert hot_words(prompt) == [name for name in expected.split("|") if name]


@given(st.text(st.sampled_from("aB .,;:!\n'\"I"), max_size=60) | st.text())
def test_any_prompt_has_bounded_hot_words_of_its_own_words(prompt: str) -> None:
    found = hot_words(prompt)
    assert len(found) == len(set(found)) <= MOST
    assert all(word in prompt for name in found for word in name.split())
    assert all(name.strip() for name in found)


def test_no_more_than_the_limit_is_taken() -> None:
    assert len(hot_words(", ".join(f"name{at}" for at in range(1_000)))) == MOST


def test_of_a_long_prompt_the_first_part_is_read_up_to_a_word_end() -> None:
    names = [f"Name{at:05d}" for at in range(2 * LONGEST // 10)]
    text = "x " * (LONGEST // 2 - 20) + "Ann Lee spoke with Bartholomew " + " ".join(names)
    cut = text[: text.rindex(" ", 0, LONGEST)]
    assert len(cut) <= LONGEST and hot_words(text) == hot_words(cut) != hot_words(text[:LONGEST])
    assert hot_words("x" * 2 * LONGEST) == []


def test_what_is_too_long_to_be_a_name_is_none() -> None:
    assert hot_words(f"Ann, {'b' * (LONGEST_PHRASE + 1)}, Cy") == ["Ann", "Cy"]
