"""The trie of spellings and pronunciations, walked unit by unit."""

import numpy as np
import pytest

from asr.decoding.beam import Boundaries, Lexicon, Spellings
from asr.decoding.beam.lexicon import ROOT, UNKNOWN
from asr.text import CharacterTokenizer, SubwordTokenizer, Tokenizer

WORDS = ["", "a", "an", "and", "ann's", "bee", "beer", "bees", "naïve"]
UNIGRAM = -np.arange(1.0, len(WORDS) + 1.0, dtype=np.float32)
CHARACTERS = CharacterTokenizer()


@pytest.fixture(scope="module")
def subwords() -> SubwordTokenizer:
    texts = ["an ant and a bee", "beer and bees", "ann's bee stands", "at an end"] * 20
    return SubwordTokenizer.learn(texts, 16)


@pytest.fixture(params=["characters", "subwords"])
def tokenizer(request: pytest.FixtureRequest, subwords: SubwordTokenizer) -> Tokenizer:
    return CHARACTERS if request.param == "characters" else subwords


def spelled(
    tokenizer: Tokenizer, words: list[str] = WORDS, unigram: np.ndarray = UNIGRAM
) -> Lexicon:
    boundaries = Boundaries.of(tokenizer)
    return Lexicon.build(Spellings.by(tokenizer, words), unigram, boundaries, open=True)


def walk(lexicon: Lexicon, units: list[int]) -> int:
    node = ROOT
    for unit in units:
        node = int(lexicon.entry[unit]) if lexicon.separates[unit] else lexicon.follow(node, unit)
    return node


def words_at(lexicon: Lexicon, node: int) -> list[int]:
    """The words that end at a node; the unknown word 0 if none does."""
    return lexicon.words[lexicon.word_first[node] : lexicon.word_first[node + 1]].tolist() or [0]


def test_every_word_is_found_and_no_other(tokenizer: Tokenizer) -> None:
    lexicon = spelled(tokenizer)
    known = [(id, word) for id, word in enumerate(WORDS) if word and word != "naïve"]
    for id, word in known:
        assert words_at(lexicon, walk(lexicon, tokenizer.encode(word))) == [id]
        assert words_at(lexicon, walk(lexicon, tokenizer.encode("at " + word))) == [id]
    for text in ("at", "be", "bee an t", "stands"):
        assert words_at(lexicon, walk(lexicon, tokenizer.encode(text))) == [0]
    assert len(lexicon.words) == len(known)


def test_a_node_knows_the_best_word_it_leads_to() -> None:
    lexicon = spelled(CHARACTERS)
    best = {text: float(lexicon.best[walk(lexicon, CHARACTERS.encode(text))]) for text in
            ("a", "an", "ann", "and", "b", "beer", "bees", "x", "a ")}  # fmt: skip
    assert best == {"a": -2, "an": -3, "ann": -5, "and": -4, "b": -6, "beer": -7, "bees": -8,
                    "x": -1, "a ": 0}  # fmt: skip


def test_spelling_on_past_all_words_is_unknown_until_the_next_word(tokenizer: Tokenizer) -> None:
    lexicon = spelled(tokenizer)
    assert walk(lexicon, tokenizer.encode("tat")) == UNKNOWN
    assert words_at(lexicon, walk(lexicon, tokenizer.encode("tat bee"))) == [WORDS.index("bee")]


def test_spaces_without_a_word_between_them_spell_nothing() -> None:
    lexicon = spelled(CHARACTERS)
    for text in (" ", "  ", "a ", "a  "):
        assert walk(lexicon, CHARACTERS.encode(text)) == ROOT
    assert not lexicon.spelled[ROOT]


def test_a_lone_sign_of_a_word_start_spells_nothing(subwords: SubwordTokenizer) -> None:
    (lone,) = (u for u in range(1, subwords.n_units) if subwords.decode([u]) == "")
    lexicon = spelled(subwords)
    assert not lexicon.spelled[walk(lexicon, [lone])]


def test_without_a_word_everything_is_unknown(tokenizer: Tokenizer) -> None:
    lexicon = spelled(tokenizer, ["", "naïve"])
    assert walk(lexicon, tokenizer.encode("bee")) == UNKNOWN


def test_many_children_and_one_child_are_both_found() -> None:
    words = ["", *"abcdefghij", "abc", "abd"]
    lexicon = spelled(CHARACTERS, words, np.zeros(len(words), dtype=np.float32))
    for word in words[1:]:
        assert words_at(lexicon, walk(lexicon, CHARACTERS.encode(word))) == [words.index(word)]
    for text in ("ab", "abb", "abe", "ba", "k"):
        assert words_at(lexicon, walk(lexicon, CHARACTERS.encode(text))) == [0]


def test_words_have_any_number_of_pronunciations_and_these_of_words() -> None:
    sounds = [(1, [2, 3]), (2, [2, 3]), (3, [2, 3]), (1, [2]), (1, [3, 3, 3]), (1, [2, 3])]
    lexicon = Lexicon.build(sounds, -np.arange(4, dtype=np.float32), Boundaries.spaced(4, space=1))
    node = lexicon.follow(lexicon.follow(ROOT, 2), 3)
    assert words_at(lexicon, node) == [1, 2, 3]
    assert lexicon.best[node] == -1.0
    assert words_at(lexicon, lexicon.follow(ROOT, 2)) == [1]
    assert lexicon.follow(node, 2) == -1  # nothing is spelled beside the lexicon
    assert len(lexicon.unit) == 2 + 5


def test_boundaries(subwords: SubwordTokenizer) -> None:
    characters = Boundaries.of(CHARACTERS)
    (space,) = CHARACTERS.encode(" ")
    assert np.flatnonzero(characters.separates).tolist() == [space]
    assert np.flatnonzero(characters.letters == 0).tolist() == [0, space]
    found = Boundaries.of(subwords)
    for unit in range(1, subwords.n_units):
        piece = subwords._spellings[unit]
        assert found.separates[unit] == piece.startswith("▁")
        assert found.letters[unit] == len(piece.strip("▁"))
