"""Evaluation: error rates and where the errors are, with intervals, confidence and speed."""

from asr.evaluation.analysis import Analysis, known_words
from asr.evaluation.breakdown import breakdowns
from asr.evaluation.compare import Comparison, compare, in_order, read_saved
from asr.evaluation.evaluate import NORMALISERS, Clip, Evaluation, evaluate, normaliser_named
from asr.evaluation.reliability import Reliability
from asr.evaluation.runs import compare_runs, read_validation
from asr.evaluation.score import Score, Scored, aligned, score
from asr.evaluation.tables import lines

__all__ = [
    "NORMALISERS",
    "Analysis",
    "Clip",
    "Comparison",
    "Evaluation",
    "Reliability",
    "Score",
    "Scored",
    "aligned",
    "breakdowns",
    "compare",
    "compare_runs",
    "evaluate",
    "in_order",
    "known_words",
    "lines",
    "normaliser_named",
    "read_saved",
    "read_validation",
    "score",
]
