"""The English normaliser of public rankings: texts that are spoken the same way become equal.

It is Whisper's (Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022,
appendix C), from the package `whisper-normalizer`. The Open ASR Leaderboard scores with it too.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import cast

from asr.errors import BadData

_ADDED_BY_THE_PACKAGE = ("cause", "dunno", "kinda", "sorta")
"""Words that the package rewrites and Whisper does not: published figures were made without it."""


def english(text: str) -> str:
    """The text in lower case without punctuation, in one spelling, with digits for numbers.

    Raises:
        BadData: the text holds a number of thousands of digits.
    """
    try:
        return " ".join(_whisper()(text).split())
    except (AssertionError, ValueError):  # Python converts no more than 4,300 digits
        raise BadData(
            f"the normaliser `english` cannot read the text that begins with {text[:40]!r}: "
            "a number in it has too many digits; mend the text."
        ) from None


@cache
def _whisper() -> Callable[[str], str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an escape in its source, when Python first compiles it
        from whisper_normalizer.english import EnglishTextNormalizer
    normaliser = EnglishTextNormalizer()
    for word in _ADDED_BY_THE_PACKAGE:
        normaliser.replacers.pop(rf"\b{word}\b", None)
    return cast(Callable[[str], str], normaliser)
