"""Plain words and the pauses between them -> text as people write it: marks, capitals, digits."""

from asr.punctuation.given import GivenForms
from asr.punctuation.model import Punctuator
from asr.punctuation.written import Writer, written_words

__all__ = ["GivenForms", "Punctuator", "Writer", "written_words"]
