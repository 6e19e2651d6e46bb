"""Decoding: log-probabilities -> hypotheses -> words -> transcripts."""

from asr.decoding.align import align
from asr.decoding.calibration import PAUSE_SECONDS, Calibration, times
from asr.decoding.confidence import Logistic, certainty
from asr.decoding.cutting import Cutter, cut
from asr.decoding.greedy import greedy
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.known_text import Found, TextAligner
from asr.decoding.transcripts import transcript
from asr.decoding.words import (
    DecodedWord,
    by_character,
    decoded_words,
    stretch_features,
    stretches,
)

__all__ = [
    "PAUSE_SECONDS",
    "Calibration",
    "Cutter",
    "DecodedWord",
    "Found",
    "Hypothesis",
    "Logistic",
    "TextAligner",
    "align",
    "by_character",
    "certainty",
    "cut",
    "decoded_words",
    "greedy",
    "stretch_features",
    "stretches",
    "times",
    "transcript",
]
