"""Error rates by properties of the clips: length, rate of speech, level, speaker, accent."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from asr.evaluation.bootstrap import Clusters, Interval, rate_intervals
from asr.evaluation.evaluate import TRAITS, Clip, Evaluation

MEASURES: dict[str, tuple[str, tuple[float, ...]]] = {
    "duration": ("s", (2, 5, 10, 20)),
    "rate of speech": ("words/s", (2, 2.5, 3, 3.5)),
    "level": ("dBFS", (-35, -30, -25, -20)),
}
"""Unit and inner edges of each measure: fixed, so that sets can be compared."""
UNSTATED = "not stated"


@dataclass(frozen=True)
class Row:
    """The clips of one group."""

    group: str
    clips: int
    words: int
    errors: int
    interval: Interval | None
    """Of the word error rate; None if the group has a single speaker."""

    @property
    def wer(self) -> float:
        """Errors over words; if a normaliser removed all words, they count as one."""
        return self.errors / max(1, self.words)


@dataclass(frozen=True)
class Breakdown:
    """A division of the clips into groups."""

    by: str
    rows: tuple[Row, ...]


def whole(evaluation: Evaluation) -> Row:
    """All clips as one group."""
    clips = evaluation.clips
    return _breakdown(evaluation, "", [""] * len(clips)).rows[0]


def breakdowns(evaluation: Evaluation) -> tuple[Breakdown, ...]:
    """Every breakdown with several groups: measures in order, names by their number of words.

    Traits that no clip has are left out, and measures with a single group too.
    """
    clips = evaluation.clips
    measures = {
        "duration": [clip.duration for clip in clips],
        "rate of speech": [
            scored.words / max(clip.duration, 1e-3)
            for clip, scored in zip(clips, evaluation.score.utterances, strict=True)
        ],
        "level": [clip.level for clip in clips],
    }
    results = [
        _breakdown(evaluation, name, *_bands(values, *MEASURES[name]))
        for name, values in measures.items()
    ]
    for name in ("speaker", *TRAITS):
        labels = [_named(clip, name) for clip in clips]
        if set(labels) != {UNSTATED}:
            results.append(_breakdown(evaluation, name, labels))
    return tuple(breakdown for breakdown in results if len(breakdown.rows) > 1)


def _named(clip: Clip, trait: str) -> str:
    value = clip.speaker if trait == "speaker" else clip.traits.get(trait)
    return UNSTATED if value is None else value


def _bands(
    values: Sequence[float], unit: str, edges: tuple[float, ...]
) -> tuple[list[str], list[str]]:
    """The label of each value's band, and all labels in order."""
    names = [
        f"under {edges[0]:g} {unit}",
        *(f"{low:g} to {high:g} {unit}" for low, high in pairwise(edges)),
        f"{edges[-1]:g} {unit} and more",
    ]
    return [names[band] for band in np.searchsorted(edges, values, side="right")], names


def _breakdown(
    evaluation: Evaluation, by: str, labels: Sequence[str], order: Sequence[str] | None = None
) -> Breakdown:
    scored = evaluation.score.utterances
    errors = np.array([item.errors for item in scored], np.float64)
    words = np.array([item.words for item in scored], np.float64)
    groups = [name for name in order or dict.fromkeys(labels) if name in set(labels)]
    numbers = {group: number for number, group in enumerate(groups)}
    index, count = np.array([numbers[label] for label in labels], np.intp), len(groups)
    if by == "speaker":  # a single speaker says nothing about others
        intervals: list[Interval | None] = [None] * count
    else:
        clusters = Clusters.of(evaluation.clips)
        sums = (clusters.sums(values, index, count) for values in (errors, words))
        intervals = rate_intervals(clusters, *sums)
    totals = (np.bincount(index, values, count) for values in (np.ones_like(words), words, errors))
    columns = (total.astype(int).tolist() for total in totals)
    rows = [Row(*row) for row in zip(groups, *columns, intervals, strict=True)]
    if order is None:
        rows.sort(key=lambda row: (row.group == UNSTATED, -row.words, row.group))
    return Breakdown(by, tuple(rows))
