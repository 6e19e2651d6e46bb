"""Running a bundle: recordings in, transcripts out."""

from asr.runtime.engine import Engine
from asr.runtime.options import Options
from asr.runtime.recognizer import Recognizer

__all__ = ["Engine", "Options", "Recognizer"]
