"""Text: one normal form, and the units it is spelled in."""

from asr.text.normalise import is_read_aloud, normalise
from asr.text.tokenizers import (
    BLANK,
    CharacterTokenizer,
    SubwordTokenizer,
    Tokenizer,
    Units,
    tokenizer_from_state,
)

__all__ = [
    "BLANK",
    "CharacterTokenizer",
    "SubwordTokenizer",
    "Tokenizer",
    "Units",
    "is_read_aloud",
    "normalise",
    "tokenizer_from_state",
]
