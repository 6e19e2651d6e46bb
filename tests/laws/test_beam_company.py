"""Law 1 for the beam search: company, order, padding and batch change nothing of an utterance."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.decoding import BeamSearch, BeamSettings, NGram, Path
from asr.decoding.ngram import NO_KEY
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
    entries = (torch.from_numpy(keys), torch.from_numpy(scores), torch.from_numpy(backoffs))
    return NGram.build("words", vocabulary, (size, len(pairs)), entries)


SEARCHES = {
    "without a model": BeamSearch(TOKENIZER),
    "with a model": BeamSearch(TOKENIZER, bigrams()),
}


def utterance(number: int) -> Tensor:
    """`(U, V)`: some frames are sure of a blank, some of a unit, some of nothing."""
    generator = torch.Generator().manual_seed(number)
    frames = torch.randn(LENGTHS[number], TOKENIZER.n_units, generator=generator)
    frames *= 4.0 * torch.rand(len(frames), 1, generator=generator)
    frames[::3, 0] += 4.0
    return frames.log_softmax(dim=-1)


def read(search: BeamSearch, numbers: list[int], padding: float, spare: int) -> list[list[Path]]:
    utterances = [utterance(number) for number in numbers]
    lengths = [len(frames) for frames in utterances]
    batch = torch.full((len(numbers), max(lengths) + spare, TOKENIZER.n_units), padding)
    for row, frames in zip(batch, utterances, strict=True):
        row[: len(frames)] = frames
    return search(batch, torch.tensor(lengths), SETTINGS, HOTWORDS, RESULTS)


@cache
def alone(name: str, number: int) -> list[Path]:
    return read(SEARCHES[name], [number], 0.0, 0)[0]


@pytest.mark.parametrize("name", SEARCHES)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    numbers=st.lists(st.integers(0, len(LENGTHS) - 1), min_size=1, max_size=20),
    padding=st.sampled_from([0.0, -1e9, math.inf, -math.inf, math.nan]),
    spare=st.sampled_from([0, 1, 30]),
)
def test_an_utterance_reads_the_same_in_any_batch(
    name: str, numbers: list[int], padding: float, spare: int
) -> None:
    found = read(SEARCHES[name], numbers, padding, spare)
    for number, paths in zip(numbers, found, strict=True):
        expected = alone(name, number)
        assert [path.units for path in paths] == [path.units for path in expected]
        for path, other in zip(paths, expected, strict=True):
            assert path.score == pytest.approx(other.score, abs=1e-4)
            assert path.language == pytest.approx(other.language, abs=1e-4)


def test_threads_share_a_search() -> None:
    search = SEARCHES["with a model"]
    numbers = list(range(len(LENGTHS)))
    expected = read(search, numbers, 0.0, 0)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: read(search, numbers, 0.0, 0), range(4)))
    assert found == [expected] * 4
