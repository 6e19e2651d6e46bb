"""Numbers of the other languages that the package `text2num` knows.

It converts cardinals, ordinals and decimals; what it does not know stays in words, and so does
what it would read too boldly.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from text_to_num import Token, alpha2digit, find_numbers

from asr.punctuation.numbers.number import Number

LANGUAGES = ("da", "de", "es", "fr", "it", "nl", "pt")
LONGEST = 25
"""Words of a number; rows of digits may be longer, and stay words."""


class _Word(Token):  # type: ignore[misc] # the package has no types
    def __init__(self, word: str) -> None:
        self.word = word

    def text(self) -> str:
        return self.word


def others(words: Sequence[str], language: str) -> list[Number]:
    """The numbers of plain words of one of `LANGUAGES`."""
    found = find_numbers([_Word(word) for word in words], language, threshold=0)
    paired = _pairs(found)
    return [
        Number(one.start, one.end, one.text)
        for at, one in enumerate(found)
        if at not in paired
        and _is_sure(words[one.start : one.end], one, language)
        and reads_back(one.text, words[one.start : one.end], language)
    ]


def reads_back(text: str, words: Sequence[str], language: str) -> bool:
    """Whether the package converts the words to just this text."""
    return str(alpha2digit(" ".join(words), language, threshold=0)) == text


def _is_sure(words: Sequence[str], found: Any, language: str) -> bool:
    if len(words) > LONGEST or (found.value <= 10 and found.text.isdigit()):
        return False
    if found.is_ordinal and found.value <= 10:
        return False
    # A thousand thanks; and "eine Million zweihunderttausend", whose one stands outside.
    first = alpha2digit(words[0], language, threshold=0)
    return not (_is_scale(first) and (len(words) == 1 or int(first) >= 10**6))


def _is_scale(text: str) -> bool:
    return text.isdigit() and int(text) >= 100 and not text.strip("0").removeprefix("1")


def _pairs(found: Sequence[Any]) -> set[int]:
    """Two or three hundred, ten or twelve: neighbours with one word between them."""
    pairs = set()
    for at, (one, two) in enumerate(pairwise(found)):
        rough = one.value <= 10 < two.value <= 20
        shares = one.value < 100 <= two.value
        if two.start - one.end == 1 and (rough or shares):
            pairs |= {at, at + 1}
    return pairs
