"""Guarantee 1 for the beam search: an utterance does not depend on the rest of its batch."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.decoding.beam import BeamSearch, Path
from asr.lm import NGram
from asr.lm.ngram import NO_KEY
from asr.options import BeamSettings
from asr.text import CharacterTokenizer

TOKENIZER = CharacterTokenizer(" abc")
WORDS = ("a", "b", "ab", "abc", "ca", "cab", "bac")
HOTWORDS = ("cab", "ca ab", "bb")
SETTINGS = BeamSettings(size=6, choices=3, blank_skip=0.9, lm_weight=0.5, unknown_price=4.0)
LENGTHS = (0, 1, 2, 7, 14, 22)
RESULTS = 3


def bigrams() -> NGram:
    """A model with every second bigram."""
    generator = np.random.default_rng(5)
    vocabulary = ("<unk>", *WORDS, "<s>", "</s>")
    size = len(vocabulary)
    pairs = np.arange(0, size * size, 2) + size  # keys of contexts 1, 2, ...
    keys = np.concatenate([np.arange(size), pairs, [NO_KEY]])
    scores = -generator.exponential(2.0, size + len(pairs)).astype(np.float32)
    backoffs = np.append(0.0, -generator.exponential(1.0, size)).astype(np.float32)
    return NGram.build("words", vocabulary, (size, len(pairs)), (keys, scores, backoffs))


SEARCHES = {
    "without a model": BeamSearch.by_spelling(TOKENIZER),
    "with a model": BeamSearch.by_spelling(TOKENIZER, bigrams()),
}


def utterance(number: int) -> NDArray[np.float32]:
    """`(U, V)`: some frames are sure of a blank, some of a unit, some of nothing."""
    generator = np.random.default_rng(number)
    odds = generator.standard_normal((LENGTHS[number], TOKENIZER.n_units))
    odds *= 4.0 * generator.random((len(odds), 1))
    odds[::3, 0] += 4.0
    return (odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))).astype(np.float32)


def read(search: BeamSearch, numbers: list[int], threads: int) -> list[list[Path]]:
    utterances = [utterance(number) for number in numbers]
    return search(utterances, SETTINGS, HOTWORDS, RESULTS, threads)


@cache
def alone(name: str, number: int) -> list[Path]:
    return read(SEARCHES[name], [number], 1)[0]


@pytest.mark.parametrize("name", SEARCHES)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    numbers=st.lists(st.integers(0, len(LENGTHS) - 1), max_size=20),
    threads=st.sampled_from([1, 2, 5]),
)
def test_an_utterance_reads_the_same_bits_in_any_company(
    name: str, numbers: list[int], threads: int
) -> None:
    found = read(SEARCHES[name], numbers, threads)
    assert found == [alone(name, number) for number in numbers]


def test_threads_share_a_search() -> None:
    search = SEARCHES["with a model"]
    numbers = list(range(len(LENGTHS)))
    expected = read(search, numbers, 1)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: read(search, numbers, 2), range(4)))
    assert found == [expected] * 4


@pytest.mark.parametrize("name", SEARCHES)
def test_more_results_change_nothing_of_the_best(name: str) -> None:
    utterances = [utterance(number) for number in range(len(LENGTHS))]
    one = SEARCHES[name](utterances, SETTINGS, HOTWORDS, nbest=1)
    several = SEARCHES[name](utterances, SETTINGS, HOTWORDS, nbest=5)
    assert [paths[:1] for paths in several] == one
    assert max(map(len, several)) == 5
