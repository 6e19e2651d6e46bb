"""Evaluation: how often the words are wrong, where, and how fast they came."""

from asr.evaluation.evaluate import Evaluation, evaluate
from asr.evaluation.score import Score, Scored, aligned, score

__all__ = ["Evaluation", "Score", "Scored", "aligned", "evaluate", "score"]
