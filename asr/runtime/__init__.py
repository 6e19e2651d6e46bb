"""Running a bundle: recordings in, transcripts out."""

from asr.options import Options, OptionValues
from asr.runtime.engine import Engine, LogProbs
from asr.runtime.recognizer import Recognizer

__all__ = ["Engine", "LogProbs", "OptionValues", "Options", "Recognizer"]
