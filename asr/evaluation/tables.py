"""An evaluation as tables for a terminal."""

from collections.abc import Iterator

from asr.counting import counted
from asr.durations import spoken
from asr.evaluation.analysis import Analysis, Recall
from asr.evaluation.bootstrap import Clusters, Interval
from asr.evaluation.breakdown import MEASURES, Breakdown, Row
from asr.evaluation.compare import Comparison
from asr.evaluation.evaluate import Evaluation
from asr.evaluation.score import aligned
from asr.text import PLAIN

_SHOWN = 8
"""Groups shown in a breakdown by names; a file has all."""


def lines(analysis: Analysis, device: str, worst: int) -> Iterator[str]:
    """The lines for a terminal."""
    evaluation = analysis.evaluation
    score = evaluation.score
    if evaluation.normaliser != PLAIN:
        yield f"normaliser      {evaluation.normaliser}"
    yield f"clips           {len(evaluation.clips)}{_unread(evaluation)}"
    yield f"words           {score.words}"
    yield f"WER             {score.wer:.2%}{_doubt(analysis)}"
    yield f"CER             {score.cer:.2%}"
    for name in ("substitutions", "deletions", "insertions"):
        yield f"{name:15} {getattr(score, name)}"
    yield f"audio           {spoken(evaluation.audio_seconds)}"
    yield (
        f"speed           {evaluation.throughput:.0f} seconds of audio per second, "
        f"on {device}, files read and decoded"
    )
    yield from _recall_lines(analysis.recall)
    yield from _comparison_lines(analysis.comparison, analysis.drawn_by)
    for breakdown in analysis.breakdowns:
        yield from _table(breakdown)
    for scored in score.worst(worst):
        yield ""
        yield f"{scored.id}: {counted(scored.errors, 'error')}, WER {scored.wer:.0%}"
        yield aligned(scored)


def _unread(evaluation: Evaluation) -> str:
    failed = len(evaluation.failed)
    return f" of {len(evaluation.clips) + failed}, {failed} could not be read" if failed else ""


def _doubt(analysis: Analysis) -> str:
    if analysis.whole.interval is None:
        return ""
    return f"   95 % interval {_span(analysis.whole.interval)}, {_drawn(analysis.drawn_by)}"


def _recall_lines(recall: Recall | None) -> Iterator[str]:
    if recall is None:
        return
    yield ""
    yield f"{'words in training':22} {'said':>7} {'right':>8}"
    for name, said, right in (
        ("  seen", recall.seen, recall.seen_right),
        ("  unseen", recall.unseen, recall.unseen_right),
    ):
        share = f"{right / said:.1%}" if said else "-"
        yield f"{name:22} {said:7} {share:>8}"


def _comparison_lines(compared: Comparison | None, clusters: Clusters) -> Iterator[str]:
    if compared is None:
        return
    yield ""
    yield f"against         {compared.against}"
    yield f"its WER         {compared.score.wer:.2%}"
    difference = f"difference      {100 * compared.difference:+.2f} points"
    if compared.interval is None:
        yield f"{difference}, without an interval: a single {clusters.by} says nothing about others"
    else:
        low, high = (100 * value for value in compared.interval)
        yield f"{difference}   95 % interval {low:+.2f} to {high:+.2f}, {_drawn(clusters)}"
        yield f"p               {compared.p:.4f}"
    alike = len(compared.score.utterances) - compared.better - compared.worse
    yield f"clips           {compared.better} better, {compared.worse} worse, {alike} alike"


def _table(breakdown: Breakdown) -> Iterator[str]:
    yield ""
    spans = any(row.interval for row in breakdown.rows)
    head = f"{'by ' + breakdown.by:32} {'clips':>7} {'words':>7} {'WER':>7}"
    yield head + ("   95 % interval" if spans else "")
    rows = breakdown.rows
    if breakdown.by == "speaker" and len(rows) > _SHOWN:
        ordered = sorted(rows, key=lambda row: row.wer)
        yield _line(ordered[0], "best: ")
        yield _line(ordered[len(ordered) // 2], "median: ")
        for row in ordered[:-4:-1]:
            yield _line(row, "worst: ")
        return
    shown = rows if breakdown.by in MEASURES else rows[:_SHOWN]
    for row in shown:
        yield _line(row)
    if rest := rows[len(shown) :]:
        clips, words, errors = (
            sum(getattr(row, key) for row in rest) for key in ("clips", "words", "errors")
        )
        yield _line(Row(counted(len(rest), "other"), clips, words, errors, None))


def _line(row: Row, rank: str = "") -> str:
    name = f"  {rank}{row.group}"
    name = name if len(name) <= 32 else f"{name[:31]}…"
    span = "" if row.interval is None else _span(row.interval)
    return f"{name:32} {row.clips:7} {row.words:7} {row.wer:7.1%}   {span}".rstrip()


def _span(interval: Interval) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def _drawn(clusters: Clusters) -> str:
    return f"drawn over {counted(clusters.count, clusters.by)}"
