"""The text of `benchmarks/made_text.py`."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from ngrams import estimated

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("words", [1, 30, 500])
def test_no_more_is_made_than_is_asked_for(words: int, tmp_path: Path) -> None:
    model = estimated(tmp_path, ["a cat sat", "the cat sat on a mat"] * 3, 2).model
    made = runpy.run_path(str(ROOT / "benchmarks" / "made_text.py"))
    lines = list(made["sentences"](model, words, np.random.default_rng(0)))
    assert words <= sum(len(line.split()) for line in lines) < words + made["LONGEST"]
