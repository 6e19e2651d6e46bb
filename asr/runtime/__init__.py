"""Running a bundle: recordings in, transcripts out."""

from asr.runtime.engine import Engine
from asr.runtime.recognizer import Options, Recognizer

__all__ = ["Engine", "Options", "Recognizer"]
