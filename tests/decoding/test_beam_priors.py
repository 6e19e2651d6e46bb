"""Priors of units: from the spellings of words, and from a language model over units."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ngrams import estimated

from asr.decoding.beam import BeamSearch
from asr.options import BeamSettings
from asr.text import CharacterTokenizer, SubwordTokenizer, Tokenizer

TEXT = ["a cab a bad cab", "a dab", "bad bad cab a dab a"] * 5
TOKENIZERS = {
    "characters": CharacterTokenizer(" abcdz"),
    "subwords": SubwordTokenizer.learn(TEXT, 9),
}


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
def test_of_words_by_their_spellings(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = estimated(tmp_path, TEXT, 2).model
    shares = dict.fromkeys(range(1, tokenizer.n_units), 0.0)
    for word, score in zip(model.vocabulary[1:-2], model.unigram[1:-2].tolist(), strict=True):
        # With a second word, for the space between them where there is one.
        units = tokenizer.encode(f"{word} a")[: -len(tokenizer.encode("a"))]
        for unit in units:
            shares[unit] += math.exp(score)
    least = min(share for share in shares.values() if share)
    found = BeamSearch.by_spelling(tokenizer, model).common
    assert found[0] == 0.0
    for unit, share in shares.items():
        expected = math.log(max(share, least) / sum(shares.values()))
        assert found[unit].item() == pytest.approx(expected, abs=1e-4)


def test_of_units_as_often_as_the_text_has_them(tmp_path: Path) -> None:
    tokenizer = CharacterTokenizer(" abcd")
    model = estimated(tmp_path, TEXT * 40, 2, tokenizer=tokenizer).model
    counts = Counter(unit for line in TEXT for unit in tokenizer.encode(line))
    found = np.exp(BeamSearch.by_spelling(tokenizer, model).common)
    for unit, count in counts.items():
        assert found[unit].item() == pytest.approx(count / counts.total(), abs=0.02)


def test_a_common_letter_gives_way_to_a_rare_one(tmp_path: Path) -> None:
    tokenizer = CharacterTokenizer(" abcdz")
    model = estimated(tmp_path, [*TEXT, "z"], 1).model
    frame = np.log([[0.001, 0.001, 0.548, 0.001, 0.001, 0.001, 0.447]])  # a or z
    search = BeamSearch.by_spelling(tokenizer, model)
    for prior_weight, text in ((0.0, "a"), (0.5, "z")):
        settings = BeamSettings(lm_weight=0.0, prior_weight=prior_weight)
        ((best,),) = search([frame], settings)
        assert best.text == text
