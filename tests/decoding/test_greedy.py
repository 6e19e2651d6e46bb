"""Greedy decoding on lattices small enough to read."""

import math

import numpy as np
import pytest

from asr.decoding import Hypothesis, greedy


def lattice(*frames: tuple[float, ...]) -> np.ndarray:
    """`(1, U, V)` log-probabilities from posteriors."""
    with np.errstate(divide="ignore"):
        return np.log(np.array([frames], np.float32))


def test_repeats_merge_and_blanks_part() -> None:
    log_probs = lattice(
        (0.1, 0.9, 0.0),
        (0.2, 0.7, 0.1),
        (0.8, 0.1, 0.1),
        (0.3, 0.6, 0.1),
        (0.1, 0.4, 0.5),
    )
    (found,) = greedy(log_probs, np.array([5]))
    assert found.units == (1, 1, 2)
    assert found.starts == (0, 3, 4)
    assert found.ends == (2, 4, 5)
    assert found.confidences == pytest.approx((0.8, 0.6, 0.5))
    assert found.score == pytest.approx(math.log(0.9 * 0.7 * 0.8 * 0.6 * 0.5), rel=1e-5)


def test_what_lies_behind_the_length_is_never_looked_at() -> None:
    log_probs = lattice((0.1, 0.9), (0.1, 0.9), (0.1, 0.9))
    padded = log_probs.copy()
    padded[:, 2:] = math.nan
    alone = greedy(log_probs[:, :2], np.array([2]))
    assert greedy(padded, np.array([2])) == alone
    assert alone[0].ends == (2,)


def test_a_unit_does_not_run_on_into_the_next_utterance() -> None:
    log_probs = lattice((0.1, 0.9), (0.1, 0.9)).repeat(3, axis=0)
    found = greedy(log_probs, np.array([2, 0, 1]))
    assert [(one.units, one.starts, one.ends) for one in found] == [
        ((1,), (0,), (2,)),
        ((), (), ()),
        ((1,), (0,), (1,)),
    ]
    assert found[1] == Hypothesis((), (), (), (), 0.0)


@pytest.mark.parametrize("shape", [(0, 0, 5), (0, 3, 5), (2, 0, 5)])
def test_nothing_in_nothing_out(shape: tuple[int, int, int]) -> None:
    lengths = np.zeros(shape[0], np.int64)
    assert (
        greedy(np.zeros(shape, np.float32), lengths) == [Hypothesis((), (), (), (), 0.0)] * shape[0]
    )


def test_confidence_stays_within_one_when_rounding_lifts_a_log_probability_above_zero() -> None:
    (found,) = greedy(np.array([[[-20.0, 1e-6]]], np.float32), np.array([1]))
    assert found.confidences == (1.0,)


def test_half_precision_is_read_as_well() -> None:
    log_probs = lattice((0.1, 0.9), (0.75, 0.25)).astype(np.float16)
    assert greedy(log_probs, np.array([2]))[0].units == (1,)
