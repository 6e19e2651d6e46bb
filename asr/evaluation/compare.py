"""Two systems on the same clips: the difference, and whether it may be chance."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.counting import counted
from asr.errors import BadData
from asr.evaluation.bootstrap import REPLICATES, Clusters, Interval, percentiles
from asr.evaluation.evaluate import Evaluation, score_clips
from asr.evaluation.score import Score


@dataclass(frozen=True)
class Comparison:
    """This system against another, by a paired bootstrap: both on the same resampled speakers."""

    against: str
    """The name of the other system."""
    score: Score
    """The score of the other system."""
    difference: float
    """Word error rate of this system minus that of the other: if negative, this one is better."""
    interval: Interval | None
    """None of a single clip, which says nothing about others."""
    p: float | None
    """Two-sided: twice the share of replicates without a difference of this sign. At least
    1 / (replicates + 1), the resolution of so many replicates. None of a single clip."""
    better: int
    """Clips on which this system makes fewer errors."""
    worse: int


def compare(evaluation: Evaluation, texts: Sequence[str], against: str) -> Comparison:
    """The comparison with another system's texts for the clips, in their order."""
    other = score_clips(evaluation.clips, texts, evaluation.normaliser, evaluation.language)
    table = np.array(
        [
            (own.errors, rival.errors, own.words)
            for own, rival in zip(evaluation.score.utterances, other.utterances, strict=True)
        ],
        np.float64,
    )
    fewer = table[:, 0] - table[:, 1]
    clusters = Clusters.of(evaluation.clips)
    one = np.zeros(len(fewer), np.intp)
    sums = [clusters.sums(values, one, 1) for values in (fewer, table[:, 2])]
    drawn = clusters.replicates(np.concatenate(sums, axis=1))
    differences = drawn[:, 0] / np.maximum(1, drawn[:, 1])
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    alone = clusters.count < 2
    return Comparison(
        against=against,
        score=other,
        difference=float(fewer.sum() / evaluation.score.words),
        interval=None if alone else percentiles(differences),
        p=None if alone else float(min(1.0, (2 * rarer + 1) / (REPLICATES + 1))),
        better=int((fewer < 0).sum()),
        worse=int((fewer > 0).sum()),
    )


def read_saved(path: Path) -> tuple[dict[str, str], set[str]]:
    """A system's texts by the clips' ids, from a file that `asr evaluate --json` wrote, and the ids
    of those that could not be read then.

    A file of another recogniser needs only `{"clips": [{"id": ..., "heard": ...}, ...]}`.

    Raises:
        BadData: the file cannot be read, or has another format.
    """
    try:
        saved = json.loads(path.read_text("utf-8"))
        heard = [(str(clip["id"]), clip["heard"]) for clip in saved["clips"]]
        failed = {str(clip["id"]) for clip in saved.get("failed", ())}
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadData(
            f"{path} holds no results: it must be what `asr evaluate --json` wrote, or JSON of "
            'the form {"clips": [{"id": "...", "heard": "..."}]}.'
        ) from error
    texts: dict[str, str] = {}
    for name, text in heard:
        if not isinstance(text, str):
            raise BadData(f'{path}: `heard` of {name!r} is {text!r}: give a text, which may be "".')
        if texts.setdefault(name, text) != text:
            raise BadData(f"{path} has two texts of {name!r}: give one of each clip.")
    return texts, failed


def in_order(texts: Mapping[str, str], ids: Sequence[str], name: str) -> list[str]:
    """The text of each of the clips; BadData if `texts` lack one."""
    if missing := [one for one in ids if one not in texts]:
        raise BadData(
            f"{name} lacks {len(missing)} of the {counted(len(ids), 'clip')}, the first "
            f"{missing[0]!r}: compare results of the same manifest."
        )
    return [texts[one] for one in ids]
