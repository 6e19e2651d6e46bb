"""Evaluation: how often the words are wrong, where, how surely, and how fast they came."""

from asr.evaluation.analysis import Analysis, known_words
from asr.evaluation.breakdown import breakdowns
from asr.evaluation.calibrate import Fitted, calibrate
from asr.evaluation.compare import Comparison, compare, in_order, read_saved
from asr.evaluation.english import english
from asr.evaluation.evaluate import NORMALISERS, Clip, Evaluation, evaluate, normaliser_named
from asr.evaluation.examples import speech_bounds
from asr.evaluation.score import Score, Scored, aligned, score
from asr.evaluation.show import lines
from asr.evaluation.sureness import Sureness
from asr.evaluation.tune import Trial, Tuning, tune

__all__ = [
    "NORMALISERS",
    "Analysis",
    "Clip",
    "Comparison",
    "Evaluation",
    "Fitted",
    "Score",
    "Scored",
    "Sureness",
    "Trial",
    "Tuning",
    "aligned",
    "breakdowns",
    "calibrate",
    "compare",
    "english",
    "evaluate",
    "in_order",
    "known_words",
    "lines",
    "normaliser_named",
    "read_saved",
    "score",
    "speech_bounds",
    "tune",
]
