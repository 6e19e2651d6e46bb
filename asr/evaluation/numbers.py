"""Spoken numbers as digits: "nineteen sixty two" -> "1962", "two and a half million dollars" ->
"$2500000".

A number phrase is made of pieces. Within a piece words add up as in arithmetic ("two hundred and
five"); pieces that cannot be added stand side by side ("nineteen" "sixty two", "one" "oh" "one"),
as years, telephone and house numbers are read. Digits stay, and may be followed by a scale, a
unit of money or "percent".
"""

import re
from collections.abc import Sequence
from decimal import Decimal

_ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = [
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {
    **{word: value for value, word in enumerate(_ONES, 1)},
    **{word: value for value, word in enumerate(_TEENS, 10)},
    **{word: 10 * value for value, word in enumerate(_TENS, 2)},
}
_SCALES = {
    "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "quadrillion": 10**15,
}  # fmt: skip
_ORDINALS = {
    "first": "one", "second": "two", "third": "three", "fifth": "five", "eighth": "eight",
    "ninth": "nine", "twelfth": "twelve",
    **{f"{word[:-1]}ieth": word for word in _TENS},
    **{f"{word}th": word for word in ["four", "six", "seven", *_TEENS, *_SCALES]},
}  # fmt: skip
_PLURALS = {
    **{f"{word[:-1]}ies": word for word in _TENS},
    **{f"{word}s": word for word in [*_ONES, *_TEENS] if word != "six"},
    "sixes": "six",
}
_REPEATS = {"double": 2, "triple": 3}
_SIGNS = {"minus": "-", "negative": "-", "plus": "+", "positive": "+"}
_MONEY = {
    "dollar": "$", "dollars": "$", "pound": "£", "pounds": "£", "euro": "€", "euros": "€",
    "cent": "¢", "cents": "¢",
}  # fmt: skip
_DIGITS = re.compile(r"([$£€¢]?)(\d+(?:\.\d+)?)")
_UNLIMITED = 10**30


def numerals(words: Sequence[str]) -> list[str]:
    """The words with every number phrase as one word of digits; "one" alone stays a word."""
    found: list[str] = []
    at = 0
    while at < len(words):
        text, after = _number(words, at)
        found.append(text or words[at])
        at = max(after, at + 1)
    return found


def _number(words: Sequence[str], at: int) -> tuple[str, int]:
    """The number phrase that begins at `at` in digits and where it ends; ("", at) if none does."""
    sign = _SIGNS.get(words[at], "")
    begin = at + bool(sign)
    money, text, end = _amount(words, begin)
    if end == begin:
        return "", at
    if text[-1].isdigit():
        following = words[end] if end < len(words) else ""
        if following == "percent":
            text, end = f"{text}%", end + 1
        elif words[end : end + 2] == ["per", "cent"]:
            text, end = f"{text}%", end + 2
        elif not money and following in _MONEY:
            money, end = _MONEY[following], end + 1
    if money in ("$", "£", "€"):
        text, end = _with_cents(text, words, end)
    if not sign + money and text in ("1", "1s"):
        text = text.replace("1", "one")
    return f"{sign}{money}{text}", end


def _with_cents(text: str, words: Sequence[str], end: int) -> tuple[str, int]:
    """An amount with the cents that follow it, "and" or not: two dollars and seven cents, 2.07."""
    begin = end + (words[end : end + 1] == ["and"])
    if begin < len(words) and text.isdigit():
        _, cents, after = _amount(words, begin)
        in_cents = words[after : after + 1] in (["cent"], ["cents"])
        if in_cents and cents.isdigit() and int(cents) < 100:
            return f"{text}.{int(cents):02}", after + 1
    return text, end


def _amount(words: Sequence[str], at: int) -> tuple[str, str, int]:
    """Sign of money in front, digits, and where they end."""
    if at < len(words) and (match := _DIGITS.fullmatch(words[at])):
        money, text = match.groups()
        text, end = _with_half(text, words, at + 1)
        while end < len(words) and words[end] in _SCALES:
            text = _plain(Decimal(text) * _SCALES[words[end]])
            end += 1
        return money, text, end
    text, end = _pieces(words, at)
    if text.isdigit():
        text, end = _with_fraction(text, words, end)
        while "." in text and end < len(words) and words[end] in _SCALES:
            text = _plain(Decimal(text) * _SCALES[words[end]])
            end += 1
    return "", text, end


def _with_fraction(text: str, words: Sequence[str], end: int) -> tuple[str, int]:
    """A whole number with what "point" or "and a half" adds to it."""
    if words[end : end + 1] == ["point"]:
        after, decimals = end + 1, ""
        while after < len(words) and (digit := _digit(words[after])):
            decimals += digit
            after += 1
        if decimals:
            return f"{text}.{decimals}", after
    return _with_half(text, words, end)


def _with_half(text: str, words: Sequence[str], end: int) -> tuple[str, int]:
    if text.isdigit() and words[end : end + 3] == ["and", "a", "half"]:
        return f"{text}.5", end + 3
    return text, end


def _digit(word: str) -> str:
    """A single digit said alone."""
    if word in ("zero", "oh", "o"):
        return "0"
    return str(_VALUES[word]) if word in _ONES else ""


def _pieces(words: Sequence[str], at: int) -> tuple[str, int]:
    """Pieces side by side: digits, perhaps with the ending of an ordinal or a plural."""
    text, end = "", at
    while end < len(words):
        word = words[end]
        count = _REPEATS.get(word, 1)
        digit = _digit(words[end + 1]) if count > 1 and end + 1 < len(words) else ""
        if digit:
            text, end = text + digit * count, end + 2
        elif word == "zero" or (word in ("oh", "o") and text and _begins(words, end + 1)):
            text, end = f"{text}0", end + 1
        else:
            piece, after = _piece(words, end)
            # Large numbers do not stand side by side: "two hundred, three hundred".
            if after == end or (text and len(piece.rstrip("stndrh")) > 2):
                break
            text, end = text + piece, after
            if not text.isdigit() or len(piece) > 2:
                break
    return text, end


def _begins(words: Sequence[str], at: int) -> bool:
    return at < len(words) and (words[at] in _VALUES or bool(_digit(words[at])))


def _piece(words: Sequence[str], at: int) -> tuple[str, int]:
    """Number words that add up, in digits, and where they end."""
    total, group = 0, 0
    room, scale = 100, _UNLIMITED  # the next word must be below them
    end = at
    while end < len(words):
        after = end + (words[end] == "and" and room >= 100 and end > at)
        if after == len(words):
            break
        word = words[after]
        base = _ORDINALS.get(word) or _PLURALS.get(word) or word
        beside = group >= 100 and words[after + 1 : after + 2] == ["hundred"]
        if (value := _VALUES.get(base, _UNLIMITED)) < room and not beside:
            group += value
            room = 10 if value >= 20 else 0
        elif after > end or (factor := _SCALES.get(base, _UNLIMITED)) >= scale:
            break
        elif factor == 100 and group < 100 and (group or not total):
            group, room = 100 * (group or 1), 100
        elif factor > 100 and (group or end == at):
            total, group = total + factor * (group or 1), 0
            room, scale = 1000, factor
        else:
            break
        end = after + 1
        if base != word:
            return f"{total + group}{_ending(total + group, word)}", end
    return (str(total + group), end) if end > at else ("", at)


def _ending(value: int, word: str) -> str:
    """The ending of an ordinal or a plural written in digits."""
    if word in _PLURALS:
        return "s"
    if value // 10 % 10 == 1:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")


def _plain(value: Decimal) -> str:
    """Digits without an exponent or idle zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
