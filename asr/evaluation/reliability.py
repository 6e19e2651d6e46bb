"""How well confidence separates right words from wrong ones.

Shapes: N words.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BINS = 10
_LEAST = 1e-6  # of a probability, so that its logarithm is finite


@dataclass(frozen=True)
class Reliability:
    """Statistics of words with confidences, some right and some wrong."""

    auc: float
    """The probability that a right word has a higher confidence than a wrong one; 0.5 is chance."""
    nce: float
    """Normalised cross entropy (NIST): 1 is perfect, 0 as good as the share of right words."""
    ece: float
    """Expected calibration error, ten bins of equal width: 0 is perfect."""

    @classmethod
    def of(cls, confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> "Reliability":
        """The statistics of `(N,)` confidences."""
        return cls(_auc(confidences, right), _nce(confidences, right), _ece(confidences, right))


def _auc(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """By ranks (Mann and Whitney); equal confidences share theirs."""
    _, place, counts = np.unique(confidences, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    hits, misses = int(right.sum()), int((~right).sum())
    if not hits or not misses:
        return float("nan")
    return float((ranks[right].sum() - hits * (hits + 1) / 2) / (hits * misses))


def _nce(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    share = float(np.mean(right))
    if not 0.0 < share < 1.0:
        return float("nan")
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    inside = np.clip(confidences, _LEAST, 1 - _LEAST)
    return float(1 + np.where(right, np.log(inside), np.log(1 - inside)).mean() / entropy)


def _ece(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    bins = np.minimum((confidences * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=confidences - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(right))
