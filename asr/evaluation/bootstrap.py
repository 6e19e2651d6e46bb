"""Confidence intervals of error rates, by a bootstrap over speakers.

Errors in clips of one speaker are correlated, so whole speakers are resampled with replacement (M.
Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation",
ICASSP 2004). The seed is fixed: the same clips give the same intervals.

Shapes: N clips, C clusters, K groups of clips, R replicates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.evaluation.evaluate import Clip

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]
"""The 2.5th and 97.5th percentile of the replicates: 95 % confidence."""

REPLICATES = 2000
_SEED = 20251125
_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Clusters:
    """The clips that are resampled together."""

    index: npt.NDArray[np.intp]
    """`(N,)`: the cluster of each clip."""
    count: int
    by: str
    """"speaker", or "clip" if fewer than two speakers are known."""

    @classmethod
    def of(cls, clips: Sequence[Clip]) -> "Clusters":
        """The clips by speaker; a clip without a speaker is a cluster of its own."""
        speakers = {clip.speaker for clip in clips if clip.speaker is not None}
        by = "speaker" if len(speakers) > 1 else "clip"
        keys = [
            ("speaker", clip.speaker)
            if by == "speaker" and clip.speaker is not None
            else ("clip", clip.id)
            for clip in clips
        ]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        return cls(np.array([numbers[key] for key in keys], np.intp), len(numbers), by)

    def sums(self, values: Floats, groups: npt.NDArray[np.intp], count: int) -> Floats:
        """`(N,)` -> `(C, K)`: the sum of values per cluster and group, for `count` groups."""
        cells = np.bincount(self.index * count + groups, values, self.count * count)
        return cells.reshape(self.count, count).astype(np.float64)

    def replicates(self, sums: Floats) -> Floats:
        """`(C, K)` -> `(R, K)`: totals over resampled clusters, as many as there are."""
        return np.concatenate([counts @ sums for counts in self._draws()])

    def _draws(self) -> Iterator[Floats]:
        """How often each cluster is drawn: blocks `(some, C)`, R rows in total."""
        random = np.random.default_rng(_SEED)
        most = max(1, _DRAWS_AT_ONCE // self.count)
        for first in range(0, REPLICATES, most):
            rows = min(most, REPLICATES - first)
            drawn = random.integers(0, self.count, (rows, self.count))
            drawn += np.arange(rows)[:, None] * self.count
            counts = np.bincount(drawn.ravel(), minlength=rows * self.count)
            yield counts.reshape(rows, self.count).astype(np.float64)


def rate_intervals(clusters: Clusters, errors: Floats, words: Floats) -> list[Interval | None]:
    """The interval of errors over words of each of K groups, from the sums `(C, K)` of both.

    None for a group within a single cluster, which says nothing about others.
    """
    drawn = clusters.replicates(np.concatenate([errors, words], axis=1))
    wrong, said = np.split(drawn, 2, axis=1)
    intervals: list[Interval | None] = []
    for group, spread in enumerate((words > 0).sum(axis=0)):
        held = said[:, group] > 0  # a replicate may have no clip of a rare group
        rates = wrong[held, group] / said[held, group]
        intervals.append(percentiles(rates) if spread > 1 else None)
    return intervals


def percentiles(values: Floats) -> Interval:
    """The 95 % interval of replicates."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
