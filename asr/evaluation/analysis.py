"""The full analysis of an evaluation: rates with intervals, breakdowns, and its JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr.corpus import read_manifest
from asr.errors import BadData
from asr.evaluation.bootstrap import Clusters, Interval
from asr.evaluation.breakdown import Breakdown, Row, breakdowns, whole
from asr.evaluation.compare import Comparison
from asr.evaluation.evaluate import Evaluation, json_lines, normaliser_named
from asr.scripts import tokens
from asr.text import DEFAULT_LANGUAGE


@dataclass(frozen=True)
class Recall:
    """Recognised words of the references, split by whether the training texts have them."""

    seen: int
    seen_right: int
    unseen: int
    unseen_right: int


@dataclass(frozen=True)
class Analysis:
    """An evaluation with its intervals and breakdowns."""

    evaluation: Evaluation
    whole: Row
    drawn_by: Clusters
    breakdowns: tuple[Breakdown, ...]
    recall: Recall | None = None
    comparison: Comparison | None = None

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        known_words: set[str] | None = None,
        comparison: Comparison | None = None,
    ) -> "Analysis":
        """The analysis of an evaluation; `known_words` are those of the training texts."""
        return cls(
            evaluation=evaluation,
            whole=whole(evaluation),
            drawn_by=Clusters.of(evaluation.clips),
            breakdowns=breakdowns(evaluation),
            recall=None if known_words is None else _recall(evaluation, known_words),
            comparison=comparison,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: rates as shares, intervals as pairs, every clip with its words."""
        score, compared = self.evaluation.score, self.comparison
        values: dict[str, Any] = {
            "normaliser": self.evaluation.normaliser,
            "wer": round(score.wer, 6),
            "wer_interval": _rounded(self.whole.interval),
            "drawn_by": self.drawn_by.by,
            "cer": round(score.cer, 6),
            **{
                key: getattr(score, key)
                for key in ("words", "substitutions", "deletions", "insertions")
            },
            "audio_seconds": round(self.evaluation.audio_seconds, 3),
            "wall_seconds": round(self.evaluation.wall_seconds, 3),
            "breakdowns": {
                breakdown.by: [_row(row) for row in breakdown.rows] for breakdown in self.breakdowns
            },
        }
        if self.recall is not None:
            values["recall"] = asdict(self.recall)
        if compared is not None:
            values["comparison"] = {
                "against": compared.against,
                "wer": round(compared.score.wer, 6),
                "difference": round(compared.difference, 6),
                "interval": _rounded(compared.interval),
                "p": None if compared.p is None else round(compared.p, 6),
                "better": compared.better,
                "worse": compared.worse,
            }
        failed = [
            {"id": name, "line": why.line, "reason": why.reason}
            for name, why in self.evaluation.failed.items()
        ]
        return {**values, "clips": list(self._clips()), "failed": failed}

    def _clips(self) -> Iterator[dict[str, Any]]:
        scored = self.evaluation.score.utterances
        for clip, utterance in zip(self.evaluation.clips, scored, strict=True):
            yield {
                "id": clip.id,
                "text": clip.text,
                "heard": clip.hypothesis,
                "reference": utterance.reference,
                "hypothesis": utterance.hypothesis,
                "words": utterance.words,
                "errors": utterance.errors,
                "duration": round(clip.duration, 3),
                "level": round(clip.level, 1),
                "confidence": round(clip.confidence, 4),
                **({} if clip.speaker is None else {"speaker": clip.speaker}),
                **clip.traits,
            }


def known_words(
    manifests: Sequence[Path], normaliser: str, language: str = DEFAULT_LANGUAGE
) -> set[str]:
    """The words in the texts of several manifests.

    Raises:
        BadData: a manifest cannot be read, or has no line with a text.
    """
    normal = normaliser_named(normaliser, language)
    words: set[str] = set()
    for manifest in manifests:
        utterances, _ = read_manifest(manifest)
        if not any(utterance.text for utterance in utterances):
            raise BadData(f"{manifest} has no line with a text, so it says no word is known.")
        lines = json_lines(manifest)
        for utterance in utterances:
            words.update(tokens(normal(lines[utterance.line]["text"])))
    return words


def _recall(evaluation: Evaluation, known: set[str]) -> Recall:
    counts = {True: [0, 0], False: [0, 0]}
    for scored in evaluation.score.utterances:
        for word, right in zip(scored.reference.split(), scored.right, strict=True):
            counts[word in known][0] += 1
            counts[word in known][1] += right
    return Recall(*counts[True], *counts[False])


def _row(row: Row) -> dict[str, Any]:
    return {
        "group": row.group,
        "clips": row.clips,
        "words": row.words,
        "errors": row.errors,
        "wer": round(row.wer, 6),
        "wer_interval": _rounded(row.interval),
    }


def _rounded(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [round(value, 6) for value in interval]
