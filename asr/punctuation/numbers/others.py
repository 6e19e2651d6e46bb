"""Numbers of the other languages that the package `text2num` knows.

It converts cardinals, ordinals and decimals; what it does not know stays in words, and so does
what it would read too boldly.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from text_to_num import Token, alpha2digit, find_numbers

from asr.punctuation.numbers.number import Number

LANGUAGES = ("da", "de", "es", "fr", "it", "nl", "pt")
LONGEST = 25
"""Words of a number; rows of digits may be longer, and stay words."""
# fmt: off
_LINKS = {
    "oder", "bis", "und", "vor", "nach", "of", "tot", "voor", "over", "eller", "til", "og",
    "ou", "à", "et", "o", "u", "a", "y", "e",
}
"""Between the numbers of a pair: two or three hundred, ten to twelve."""
_UNITS = {
    "uhr", "heure", "heures", "hora", "horas", "euro", "euros", "franken", "dollar", "dollars",
    "dólares", "kroner", "peso", "pesos",
}
"""Behind them a smaller one is said without its name: cinq euros cinquante."""
# fmt: on


class _Word(Token):  # type: ignore[misc] # the package has no types
    def __init__(self, word: str) -> None:
        self.word = word

    def text(self) -> str:
        return self.word


def others(words: Sequence[str], language: str) -> list[Number]:
    """The numbers of plain words of one of `LANGUAGES`."""
    found = find_numbers([_Word(word) for word in words], language, threshold=0)
    paired = _pairs(found, words)
    written = []
    for row in _rows(found):
        if any(_begins_with_zero(one) for one in row):
            # A telephone number as a whole, or nothing: 06 12 34 56 78.
            whole = all(one.text.isdigit() and len(one.text) == 2 for one in row)
            written += row if whole and len(row) > 2 and _begins_with_zero(row[0]) else []
            continue
        sure = [one for one in row if one.start not in paired and _is_sure(words, one, language)]
        # Eleven twelve thirteen are a list.
        written += sure if len(sure) == 1 else []
    written = sorted({*written, *_wholes(found, written, words)}, key=lambda one: int(one.start))
    numbers = [_number(words, one, language) for one in written]
    return [
        one
        for one in numbers
        if one is not None and reads_back(one.text, words[one.first : one.end], language)
    ]


def reads_back(text: str, words: Sequence[str], language: str) -> bool:
    """Whether the package converts the words to just this text."""
    return _digits(words, language) == text


def _digits(words: Sequence[str], language: str) -> str:
    return str(alpha2digit(" ".join(words), language, threshold=0))


def _number(words: Sequence[str], found: Any, language: str) -> Number | None:
    """As it is written; of round millions only how many: 20 millions."""
    if found.value < 10**6:
        return Number(found.start, found.end, found.text)
    count = _digits(words[found.start : found.end - 1], language)
    known = count.isdigit() and 10 < int(count) < 1000 and found.value % 10**6 == 0
    return Number(found.start, found.end - 1, count) if known else None


def _is_sure(all_words: Sequence[str], found: Any, language: str) -> bool:
    words = all_words[found.start : found.end]
    if len(words) > LONGEST or (found.value <= 10 and found.text.isdigit()):
        return False
    if found.is_ordinal and found.value <= 10:
        return False
    if found.value == 1001:  # nights
        return False
    # A thousand thanks; and "eine Million zweihunderttausend", whose one stands outside.
    first = _digits(words[:1], language)
    return not (_is_scale(first) and (len(words) == 1 or int(first) >= 10**6))


def _is_scale(text: str) -> bool:
    return text.isdigit() and int(text) >= 100 and not text.strip("0").removeprefix("1")


def _begins_with_zero(found: Any) -> bool:
    return found.text.isdigit() and len(found.text) > 1 and found.text[0] == "0"


def _rows(found: Sequence[Any]) -> Iterator[list[Any]]:
    """Numbers without a word between them."""
    row: list[Any] = []
    for one in found:
        if row and one.start != row[-1].end:
            yield row
            row = []
        row.append(one)
    if row:
        yield row


def _wholes(found: Sequence[Any], written: Sequence[Any], words: Sequence[str]) -> Iterator[Any]:
    """Small numbers of a unit before a written one: 5 euros 50."""
    starts = {one.start for one in written}
    for one, two in pairwise(found):
        known = one.value <= 10 and not one.is_ordinal and one.text.isdigit()
        follows = two.start - one.end == 1 and two.start in starts and 10 <= two.value < 100
        if known and follows and words[one.end] in _UNITS:
            yield one


def _pairs(found: Sequence[Any], words: Sequence[str]) -> set[int]:
    """Where those begin that share a scale, or are rough: two or three hundred, ten or twelve."""
    pairs = set()
    for one, two in pairwise(found):
        rough = one.value <= 10 < two.value <= 20
        shares = one.value < 100 <= two.value
        linked = two.start - one.end == 1 and words[one.end] in _LINKS
        if linked and (rough or shares):
            pairs |= {one.start, two.start}
    return pairs
