"""Pronunciations of words: dictionaries, and a model for the words that they lack."""

from asr.text.pronunciations.dictionary import (
    ARPABET,
    Fault,
    Phones,
    Pronunciations,
    has_pronunciations,
    is_pronunciation,
    read,
)
from asr.text.pronunciations.g2p import G2P, Guess, Spelling
from asr.text.pronunciations.lookup import Pronounced, WithGuesses, complete, pronounce
from asr.text.pronunciations.training import Measured, Trained, measure, split, train

__all__ = [
    "ARPABET",
    "G2P",
    "Fault",
    "Guess",
    "Measured",
    "Phones",
    "Pronounced",
    "Pronunciations",
    "Spelling",
    "Trained",
    "WithGuesses",
    "complete",
    "has_pronunciations",
    "is_pronunciation",
    "measure",
    "pronounce",
    "read",
    "split",
    "train",
]
