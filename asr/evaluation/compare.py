"""Two systems on the same clips: how much better one is, and whether that is luck."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.errors import BadData
from asr.evaluation.evaluate import Clip, Evaluation, score_clips
from asr.evaluation.resample import REPLICATES, Clusters, Interval, percentiles
from asr.evaluation.score import Score


@dataclass(frozen=True)
class Comparison:
    """This system against another, by the paired bootstrap: both on the same drawn speakers."""

    against: str
    """What the other is called."""
    score: Score
    """The other's."""
    difference: float
    """Word error rate of this system less that of the other: below zero this one is better."""
    interval: Interval
    p: float
    """Two-sided: how often speakers drawn anew would not show a difference of this sign, doubled.
    Never below 1 / (replicates + 1), the finest that so many draws can tell."""
    better: int
    """Clips on which this system makes fewer errors."""
    worse: int


def compare(ours: Evaluation, heard: Sequence[str], against: str) -> Comparison:
    """The comparison with what another system heard in the clips, in their order."""
    other = score_clips(ours.clips, heard, ours.normaliser)
    table = np.array(
        [
            (mine.errors, theirs.errors, mine.words)
            for mine, theirs in zip(ours.score.utterances, other.utterances, strict=True)
        ],
        np.float64,
    )
    fewer = table[:, 0] - table[:, 1]
    clusters = Clusters.of(ours.clips)
    alone = np.zeros(len(fewer), np.intp)
    sums = [clusters.sums(values, alone, 1) for values in (fewer, table[:, 2])]
    drawn = clusters.replicates(np.concatenate(sums, axis=1))
    differences = drawn[:, 0] / np.maximum(1, drawn[:, 1])
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    return Comparison(
        against=against,
        score=other,
        difference=float(fewer.sum() / ours.score.words),
        interval=percentiles(differences),
        p=float(min(1.0, (2 * rarer + 1) / (REPLICATES + 1))),
        better=int((fewer < 0).sum()),
        worse=int((fewer > 0).sum()),
    )


def read_saved(path: Path) -> dict[str, str]:
    """What a system heard, by the clips' ids, from a file that `asr evaluate --json` wrote.

    A file of another recogniser needs only `{"clips": [{"id": ..., "heard": ...}, ...]}`.

    Raises:
        BadData: the file cannot be read or is none of these.
    """
    try:
        clips = json.loads(path.read_text("utf-8"))["clips"]
        return {str(clip["id"]): str(clip["heard"]) for clip in clips}
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError, KeyError) as error:
        raise BadData(
            f"{path} holds no results: it must be what `asr evaluate --json` wrote, or JSON of "
            'the form {"clips": [{"id": "...", "heard": "..."}]}.'
        ) from error


def in_order(heard: Mapping[str, str], clips: Sequence[Clip], name: str) -> list[str]:
    """What was heard in each of the clips; raises BadData where `heard` lacks one."""
    if missing := [clip.id for clip in clips if clip.id not in heard]:
        raise BadData(
            f"{name} lacks {len(missing)} of the {len(clips)} clips, the first {missing[0]!r}: "
            "compare results of the same manifest."
        )
    return [heard[clip.id] for clip in clips]
