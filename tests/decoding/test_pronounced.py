"""Which pronunciation of a word was spoken, compared with a sum over all paths."""

from itertools import chain, groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.pronounced import choose

SPACE = 1
UNITS = st.lists(st.integers(2, 3), min_size=1, max_size=2)
WORDS = st.lists(st.lists(UNITS, min_size=1, max_size=3), min_size=1, max_size=2)


def spelled(path: tuple[int, ...]) -> list[int]:
    return [unit for unit, _ in groupby(path) if unit]


def said(words: list[list[list[int]]], choice: tuple[int, ...]) -> tuple[int, ...]:
    chosen = [word[which] for word, which in zip(words, choice, strict=True)]
    return tuple(chain.from_iterable([SPACE, *units] for units in chosen))[1:]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(WORDS, st.integers(0, 10_000))
def test_the_choice_is_the_one_of_the_best_of_all_paths(
    words: list[list[list[int]]], seed: int
) -> None:
    log_probs = np.random.default_rng(seed).normal(size=(6, 4)).astype(np.float32)
    scores: dict[tuple[int, ...], float] = {}
    for path in product(range(4), repeat=6):
        text = tuple(spelled(path))
        score = float(sum(log_probs[frame, unit] for frame, unit in enumerate(path)))
        scores[text] = max(score, scores.get(text, -np.inf))
    choices = list(product(*(range(len(word)) for word in words)))
    reachable = {
        choice: scores[text] for choice in choices if (text := said(words, choice)) in scores
    }
    if not reachable:
        with pytest.raises(ValueError, match="6 frames cannot spell"):
            choose(log_probs, words, SPACE)
        return

    found = tuple(choose(log_probs, words, SPACE))

    assert reachable[found] == pytest.approx(max(reachable.values()), abs=1e-4)


def test_no_frames_spell_nothing() -> None:
    with pytest.raises(ValueError, match="0 frames cannot spell"):
        choose(np.zeros((0, 4), np.float32), [[[2]]], SPACE)
