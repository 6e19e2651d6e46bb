"""Text: the normal form, and the units in which it is spelled."""

from asr.text.accents import spelled_by, without_accents
from asr.text.ctc import BLANK, frames_needed
from asr.text.languages import DEFAULT_LANGUAGE
from asr.text.normalise import PLAIN, Normaliser, is_read_aloud, normalise, normaliser
from asr.text.phones import Lexicon, PhoneTokenizer, Pronouncer
from asr.text.tokenizers import SPACE_SIGN, CharacterTokenizer, SubwordTokenizer, Tokenizer
from asr.text.units import Units, tokenizer_from_state

__all__ = [
    "BLANK",
    "DEFAULT_LANGUAGE",
    "PLAIN",
    "SPACE_SIGN",
    "CharacterTokenizer",
    "Lexicon",
    "Normaliser",
    "PhoneTokenizer",
    "Pronouncer",
    "SubwordTokenizer",
    "Tokenizer",
    "Units",
    "frames_needed",
    "is_read_aloud",
    "normalise",
    "normaliser",
    "spelled_by",
    "tokenizer_from_state",
    "without_accents",
]
