"""Numbers in written text: which words become digits, and how digits are read aloud."""

from collections.abc import Sequence

from asr.punctuation.numbers import spelling
from asr.punctuation.numbers.english import english
from asr.punctuation.numbers.grammar import OH, SMALL
from asr.punctuation.numbers.number import Number
from asr.punctuation.numbers.others import LANGUAGES, others, reads_back
from asr.punctuation.numbers.spelling import spell

__all__ = ["Number", "digit_words", "is_read_as", "numbers", "spell"]

_DIGITS = frozenset({word for word, value in SMALL.items() if value < 10} | OH)


def numbers(words: Sequence[str], language: str = "en") -> list[Number]:
    """The stretches of plain words that are written in digits, in order and without overlap.

    Each is read as the words it replaces (`is_read_as`). Cardinals and ordinals up to ten stay
    words, except with money, percentages, decimals, clock times and dates. What may mean something
    else stays words too.

    Args:
        words: in the normal form of `asr.text.normalise`.
        language: `en`, or one of Danish, Dutch, French, German, Italian, Portuguese and Spanish,
            whose cardinals, ordinals and decimals are written; other languages have no numbers.
    """
    if language == "en":
        return english(words)
    return others(words, language) if language in LANGUAGES else []


def digit_words(language: str) -> frozenset[str]:
    """The words of digits in a language whose digits, said one by one, are one number."""
    return _DIGITS if language == "en" else frozenset()


def is_read_as(text: str, words: Sequence[str], language: str = "en") -> bool:
    """Whether the plain words are a reading of a number as it is written."""
    if language == "en":
        return spelling.is_read_as(text, words)
    return language in LANGUAGES and reads_back(text, words, language)
