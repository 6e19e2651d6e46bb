"""Text: the normal form, and the units in which it is spelled."""

from asr.text.ctc import BLANK, frames_needed
from asr.text.normalise import is_read_aloud, normalise
from asr.text.phones import Lexicon, PhoneTokenizer, Pronouncer
from asr.text.tokenizers import CharacterTokenizer, SubwordTokenizer, Tokenizer
from asr.text.units import Units, tokenizer_from_state

__all__ = [
    "BLANK",
    "CharacterTokenizer",
    "Lexicon",
    "PhoneTokenizer",
    "Pronouncer",
    "SubwordTokenizer",
    "Tokenizer",
    "Units",
    "frames_needed",
    "is_read_aloud",
    "normalise",
    "tokenizer_from_state",
]
