"""Decoding: log-probabilities -> hypotheses -> words -> transcripts."""

from asr.decoding.align import align
from asr.decoding.beam import BeamSearch, Path
from asr.decoding.calibration import PAUSE_SECONDS, Calibration, times
from asr.decoding.confidence import Logistic, certainty
from asr.decoding.greedy import greedy
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.ngram import NGram
from asr.decoding.segments import part
from asr.decoding.settings import LIMITS, BeamSettings
from asr.decoding.transcripts import transcript
from asr.decoding.words import HeardWord, heard_words, stretch_features, stretches

DECODERS = ("greedy", "beam")
"""Every decoder by the name that users call it."""

__all__ = [
    "DECODERS",
    "LIMITS",
    "PAUSE_SECONDS",
    "BeamSearch",
    "BeamSettings",
    "Calibration",
    "HeardWord",
    "Hypothesis",
    "Logistic",
    "NGram",
    "Path",
    "align",
    "certainty",
    "greedy",
    "heard_words",
    "part",
    "stretch_features",
    "stretches",
    "times",
    "transcript",
]
