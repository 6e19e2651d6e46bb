"""Confidence: certainty of frames, and logistic curves fitted to outcomes.

Shapes: B batch, U frames, V units, N examples, F features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.decoding.lattice import LEAST

_STEPS = 100
_ENOUGH = 1e-9  # a negligible step of Newton's method


def certainty(log_probs: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(B, U)` from 0 (all units are equally likely) to 1 (one unit is certain).

    Shannon's entropy H, exponentially normalised (Laptev and Ginsburg, "Fast entropy-based methods
    of word-level confidence estimation for end-to-end ASR", 2023): `(V exp(-H) - 1) / (V - 1)`.
    Tsallis' entropy of order 1/3 was no better overall (`docs/history.md`).

    Args:
        log_probs: `(B, U, V)` natural logs.
    """
    units = log_probs.shape[-1]
    terms = np.exp(log_probs) * np.maximum(log_probs, LEAST)  # x log x is 0 at 0
    sure: NDArray[np.float32] = (units * np.exp(terms.sum(axis=-1)) - 1) / (units - 1)
    return np.clip(sure, 0.0, 1.0)


@dataclass(frozen=True)
class Logistic:
    """A probability from features: `1 / (1 + exp(-(weights . features + bias)))`."""

    weights: tuple[float, ...]
    bias: float

    def __call__(self, features: Sequence[float]) -> float:
        """The probability, for one row of features."""
        total = self.bias + math.fsum(w * x for w, x in zip(self.weights, features, strict=True))
        return 1 / (1 + math.exp(-total)) if total >= 0 else 1 - 1 / (1 + math.exp(total))

    @classmethod
    def fit(cls, features: NDArray[np.float64], true: NDArray[np.bool_]) -> "Logistic":
        """The curve of maximum likelihood (Platt, 1999), by Newton's method.

        Args:
            features: `(N, F)`.
            true: `(N,)` the outcomes; both values must occur.
        """
        mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-9
        rows = np.column_stack([(features - mean) / deviation, np.ones(len(features))])
        ridge = np.diag([1e-3] * len(mean) + [1e-9])  # keeps separable examples finite
        weights = np.zeros(len(mean) + 1)
        for _ in range(_STEPS):
            predicted = 1 / (1 + np.exp(-np.clip(rows @ weights, -50, 50)))
            slope = rows.T @ (predicted - true) + ridge @ weights
            curve = (rows * (predicted * (1 - predicted))[:, None]).T @ rows + ridge
            step = np.linalg.solve(curve, slope)
            weights -= step
            if np.abs(step).max() < _ENOUGH:
                break
        scaled = weights[:-1] / deviation
        return cls(tuple(scaled.tolist()), float(weights[-1] - scaled @ mean))


def logit(probability: float) -> float:
    """The logarithm of the odds, limited to finite values."""
    inside = min(max(probability, 1e-4), 1 - 1e-4)
    return math.log(inside / (1 - inside))
