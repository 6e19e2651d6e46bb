"""Accents that a model has no letters for: English writes Zoë as Zoe and naïve as naive."""

import unicodedata
from collections.abc import Callable
from functools import lru_cache

from asr.text.normalise import Normaliser
from asr.text.tokenizers import Tokenizer


def without_accents(tokenizer: Tokenizer) -> Callable[[str], str]:
    """Text -> the same, where letters that the units lack are without their accents.

    Letters that have no such form (ł, ø, ß), those of other scripts and digits stay as they are.
    """

    @lru_cache(1 << 16)
    def bare(letter: str) -> str:
        apart = unicodedata.normalize("NFD", letter)
        base, marks = apart[0], apart[1:]
        spells = not tokenizer.unknown(base.lower())
        return base if spells and all(map(unicodedata.combining, marks)) else letter

    def spelled(text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        lacking = tokenizer.unknown(text)
        return "".join(bare(char) if char in lacking else char for char in text)

    return spelled


def spelled_by(tokenizer: Tokenizer, normal: Normaliser) -> Normaliser:
    """The normal form in the letters of a model, as `without_accents`."""
    spelled = without_accents(tokenizer)
    return lambda text: spelled(normal(text))
