"""How written English numbers are read aloud: every usual way, and the most usual one.

A way is a line of words in a small notation: `a|b` is one word of several, an empty one among
them may be left out. So `one|a thousand and| six` is what 1,006 is read as, and its first words
are the most usual ones.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache

# fmt: off
ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
TENS = {
    20: "twenty", 30: "thirty", 40: "forty", 50: "fifty", 60: "sixty", 70: "seventy", 80: "eighty",
    90: "ninety",
}
# fmt: on
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
LARGE = tuple(name for name in SCALES if name != "thousand")
"""Scales that stay words behind digits: 3 million."""
ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
"""The irregular ones."""
ZERO = "oh|o|zero|nought"
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
}
"""Sign -> unit, units, coin, coins."""
LONGEST = 40
"""Characters of a written number; longer ones have no reading."""


def spell(token: str) -> tuple[str, ...] | None:
    """The most usual reading of a written number, in plain words; None where there is none.

    A token has no marks around it, and a large scale belongs to it: `1862`, `1,250`, `3rd`, `50%`,
    `$5.50`, `$3 million`, `10:30 pm`, `1930s`, `12-year-old`.
    """
    token = token.replace("’", "'").lower()
    for way in ways(token):
        return tuple(word for slot in way.split() if (word := slot.split("|")[0]))
    return _compound(token)


def is_read_as(text: str, words: Sequence[str]) -> bool:
    """Whether the plain words are one of the readings of a written number."""
    return any(_matches(way, words) for way in ways(text))


def ways(text: str) -> Iterator[str]:
    """The ways to read a written number, the most usual first; none if it is no such number."""
    if len(text) > LONGEST:
        return
    for form, read in _FORMS:
        if found := form.fullmatch(text):
            yield from read(*found.groups())
            return


def _matches(way: str, words: Sequence[str]) -> bool:
    at = 0
    for slot in way.split():
        allowed = slot.split("|")
        if at < len(words) and words[at] in allowed:
            at += 1
        elif "" not in allowed:
            return False
    return at == len(words)


def _compound(token: str) -> tuple[str, ...] | None:
    """`12-year-old` and `B-17`: words and one number."""
    parts = token.split("-")
    numbers = [part for part in parts if not part.isalpha()]
    if len(parts) == 1 or len(numbers) != 1 or (number := spell(numbers[0])) is None:
        return None
    spelled = [number if part == numbers[0] else (part,) for part in parts]
    return tuple(word for part in spelled for word in part)


@cache
def below_hundred(number: int) -> str:
    if number < 20:
        return ONES[number]
    tens, ones = number // 10 * 10, number % 10
    return f"{TENS[tens]} {ONES[ones]}" if ones else TENS[tens]


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return below_hundred(number)
    return _hundreds(_times(ONES[hundreds]), rest)


def _times(count: str) -> str:
    return "one|a|an|" if count == "one" else count


def cardinal(number: int) -> str:
    """`number`, below 10^15, by its groups: two thousand and six."""
    groups = []
    rest = number
    for name, scale in reversed(SCALES.items()):
        count, rest = divmod(rest, scale)
        if count:
            groups.append(f"{_times(_below_thousand(count))} {name}")
    if groups and 0 < rest < 100:
        groups.append("and|")
    if rest or not groups:
        groups.append(_below_thousand(rest))
    return " ".join(groups)


def _hundreds(count: str, rest: int) -> str:
    """So many hundreds and the rest below a hundred."""
    return f"{count} hundred and| {below_hundred(rest)}" if rest else f"{count} hundred"


def _by_hundreds(number: int) -> Iterator[str]:
    """Eighteen hundred and twelve."""
    hundreds, rest = divmod(number, 100)
    if 11 <= hundreds <= 99 and hundreds % 10:
        yield f"{below_hundred(hundreds)} hundred" + (
            f" and| {below_hundred(rest)}" if rest else ""
        )


def _year(number: int) -> Iterator[str]:
    """Eighteen twelve, nineteen oh five."""
    century, rest = divmod(number, 100)
    if 10 <= century <= 20 and rest:
        yield f"{below_hundred(century)} " + ("oh|o " if rest < 10 else "") + below_hundred(rest)


def _digits(digits: str) -> str:
    return " ".join(ZERO if digit == "0" else ONES[int(digit)] for digit in digits)


def _whole(digits: str) -> Iterator[str]:
    """A number without separators: also a year, or digits said one by one."""
    number = int(digits)
    if digits[0] != "0" or digits == "0":
        if number >= 10**6:
            yield _digits(digits)
        if len(digits) == 4 and not 2000 <= number < 2010:
            yield from _year(number)
            yield from _by_hundreds(number)
        if number < 10**15:
            yield cardinal(number)
        yield from _year(number)
    if len(digits) > 1:
        yield _digits(digits)
    if len(digits) == 4 and digits[0] == "0" != digits[1] and digits.endswith("00"):
        yield f"{ZERO} {ONES[int(digits[1])]} hundred"


def _separated(text: str) -> Iterator[str]:
    number = int(text.replace(",", ""))
    yield cardinal(number)
    yield from _by_hundreds(number)


def _amount(text: str) -> Iterator[str]:
    """A count: never a year, and its digits are said one by one only behind the point."""
    whole, _, fraction = text.partition(".")
    readings = list(_separated(whole))
    if not fraction:
        yield from readings
        return
    for reading in readings:
        zero = "zero|oh|nought|" if reading == "zero" else reading
        yield f"{zero} point {_digits(fraction)}"


def _scaled(amount: str, scale: str) -> Iterator[str]:
    for reading in _amount(amount):
        yield f"{_times(reading)} {scale}"


def _money(sign: str, amount: str, scale: str | None) -> Iterator[str]:
    unit, units, coin, coins = CURRENCIES[sign]
    whole, _, cents = amount.partition(".")
    named = f"{unit}|{units}" if whole == "1" and not scale else f"{units}|{unit}"
    if scale:
        yield from (f"{reading} {named}" for reading in _scaled(amount, scale))
    elif not cents:
        yield from (f"{reading} {named}" for reading in _amount(amount))
    elif len(cents) == 2 and int(cents):
        small = f"{below_hundred(int(cents))} " + (coin if int(cents) == 1 else coins)
        if whole == "0":
            yield small
        for reading in _amount(whole):
            count = "one|a" if reading == "one" else reading
            yield f"{count} {named} and| {small}|"


def _percent(amount: str) -> Iterator[str]:
    for reading in _amount(amount):
        yield f"{reading} percent"
        yield f"{reading} per cent"


def _ordinal(digits: str, suffix: str) -> Iterator[str]:
    number = int(digits.replace(",", ""))
    if suffix == suffix_of(number) or (suffix == "d" and suffix_of(number) in ("nd", "rd")):
        rest, _, last = cardinal(number).rpartition(" ")
        yield f"{rest} {ordinal_of(last)}".strip()


def suffix_of(number: int) -> str:
    """What is written behind the digits of an ordinal."""
    if 11 <= number % 100 <= 13:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def ordinal_of(word: str) -> str:
    """The ordinal of one word of a cardinal: twenty -> twentieth."""
    if word in ORDINALS:
        return ORDINALS[word]
    return word.removesuffix("y") + "ieth" if word.endswith("y") else word + "th"


def plural_of(word: str) -> str:
    """Twenty -> twenties, hundred -> hundreds."""
    return word.removesuffix("y") + "ies" if word.endswith("y") else word + "s"


def _decade(digits: str) -> Iterator[str]:
    number = int(digits)
    century, rest = divmod(number, 100)
    if rest:
        names = f"{below_hundred(century)} " if century else ""
        yield names + (plural_of(TENS[rest]) if rest in TENS else plural_of(ONES[rest]))
    elif century % 10:
        yield f"{below_hundred(century)} hundreds"
    else:
        yield plural_of(cardinal(number))


def _short_year(digits: str) -> Iterator[str]:
    number = int(digits)
    yield ("oh|o " if number < 10 else "") + below_hundred(number)


def _time(hour: str, minutes: str | None, half: str | None) -> Iterator[str]:
    if not 1 <= int(hour) <= 12 or not (minutes or half):
        return
    said = below_hundred(int(hour))
    if minutes and int(minutes):
        said += (" oh|o " if int(minutes) < 10 else " ") + below_hundred(int(minutes))
    if half:
        yield f"{said} {half[0]} m"
        yield f"{said} {half}"
    else:
        yield said if minutes and int(minutes) else f"{said} o'clock"


_WHOLE = r"\d{1,3}(?:,\d{3}){1,4}|\d{1,6}"
_AMOUNT = rf"(?:{_WHOLE})(?:\.\d{{1,9}})?"
_SCALE = "|".join(LARGE)
_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Iterator[str]]], ...] = tuple(
    (re.compile(form, re.ASCII), read)
    for form, read in (
        (r"(\d+)", _whole),
        (r"(\d{1,3}(?:,\d{3}){1,4})", _separated),
        (rf"({_AMOUNT})", _amount),
        (rf"({_AMOUNT}) ({_SCALE})", _scaled),
        (rf"([$£€])({_AMOUNT})(?: ({_SCALE}))?", _money),
        (rf"({_AMOUNT})%", _percent),
        (rf"({_WHOLE})(st|nd|rd|th)", _ordinal),
        (r"(\d?\d[23])(d)", _ordinal),
        (r"'?([1-9]0|1[1-9]\d0|20\d0)'?s", _decade),
        (r"'(\d\d)", _short_year),
        (r"(\d\d?)(?::([0-5]\d))? ?(am|pm)?", _time),
    )
)
