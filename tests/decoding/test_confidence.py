"""Certainty of frames, and the logistic curves that turn features into probabilities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding import Logistic, certainty


def test_certainty_runs_from_an_even_frame_to_a_certain_one() -> None:
    posteriors = np.array([[0.25] * 4, [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    with np.errstate(divide="ignore"):
        log_probs = np.log(posteriors.astype(np.float32))
    assert certainty(log_probs[None])[0].tolist() == pytest.approx([0.0, 1.0, 1 / 3])


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=9))
def test_certainty_stays_within_its_bounds(scores: list[float]) -> None:
    log_probs = np.array(scores, np.float32) - np.float32(np.logaddexp.reduce(scores))
    assert 0.0 <= certainty(log_probs[None, None]).item() <= 1.0


def test_a_curve_finds_the_one_that_examples_came_from() -> None:
    generator = np.random.default_rng(5)
    features = generator.normal([1.0, -200.0], [2.0, 30.0], size=(20_000, 2))
    true = Logistic((1.5, -0.05), -11.0)
    came = generator.random(len(features)) < [true(row) for row in features]
    found = Logistic.fit(features, came)
    assert found.weights == pytest.approx(true.weights, rel=0.06)
    assert found.bias == pytest.approx(true.bias, rel=0.06)


def test_a_curve_through_separable_examples_stays_finite() -> None:
    features = np.array([[0.0, 3.0], [1.0, 3.0], [2.0, 3.0], [3.0, 3.0]])  # the second says nothing
    found = Logistic.fit(features, features[:, 0] > 1.5)
    assert all(map(math.isfinite, (*found.weights, found.bias)))
    assert found((0.0, 3.0)) < 0.01 < 0.99 < found((3.0, 3.0))


@given(st.floats(-1e6, 1e6))
def test_a_probability_is_one_however_large_the_features(feature: float) -> None:
    found = Logistic((3.0,), 1.0)((feature,))
    assert 0.0 <= found <= 1.0
    assert (found >= 0.5) == (3.0 * feature + 1.0 >= 0.0)
