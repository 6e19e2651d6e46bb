"""One cardinal and what it counts: money, percentages, clock times, decimals, plain numbers."""

from collections.abc import Iterator, Sequence

from asr.punctuation.numbers import cues
from asr.punctuation.numbers.context import Context
from asr.punctuation.numbers.grammar import ARTICLES, NAMES, OH, ROUND, SMALL, Atom, Kind, number
from asr.punctuation.numbers.number import Number
from asr.punctuation.numbers.spelling import CURRENCIES, LARGE, SCALES

SIGNS = {name: sign for sign, names in CURRENCIES.items() for name in names[:2]}


def amounts(text: Context, atom: Atom) -> Iterator[Number]:
    """The ways to write one cardinal with what it counts, the longest first."""
    if _stays(text, atom):
        return
    amount, linked = _amount(atom.value), _linked(text, atom)
    if not linked:
        yield from _clock(text, atom)
        yield from _money(text, atom, amount)
    if not linked or text.is_written(atom.first - 1):
        yield from _percent(text, atom.first, atom.end, amount)
    if atom.value > 10 and not _is_round(text, atom):
        yield Number(atom.first, atom.end, _plain(text, atom, amount))


def _amount(value: int) -> str:
    """`3 million`, `1,250,000`, `12`."""
    for scale in reversed(LARGE):
        if value % SCALES[scale] == 0 and 0 < value < 1000 * SCALES[scale]:
            return f"{value // SCALES[scale]} {scale}"
    return f"{value:,}"


def _plain(text: Context, atom: Atom, amount: str) -> str:
    """Years, two thousand and six, and eighteen hundred men have no separator."""
    cued = text.word(atom.first - 1) in cues.YEARS and 1000 < atom.value < 2100
    by_hundreds = "thousand" not in text.words[atom.first : atom.end]
    bare = cued or by_hundreds or 2000 < atom.value < 2100
    return str(atom.value) if bare and 1000 <= atom.value < 10_000 else amount


def _clock(text: Context, atom: Atom) -> Iterator[Number]:
    before = text.word(atom.first - 1)
    if not 1 <= atom.value <= 12:
        return
    if text.word(atom.end) == "o'clock":
        yield Number(atom.first, atom.end, str(atom.value))
    half, end = text.half_of_day(atom.end)
    # "Am" may be a verb: all five am I.
    if half and (end > atom.end + 1 or before in cues.BEFORE_TIMES):
        yield Number(atom.first, end, f"{atom.value} {half}")


def _money(text: Context, atom: Atom, amount: str) -> Iterator[Number]:
    sign = SIGNS.get(text.word(atom.end), "")
    if not sign or (_is_round(text, atom) and atom.value >= 10**6):
        return
    if sign == "£" and _is_weight(text, atom):
        return
    after = atom.end + 1
    joined = text.word(after) == "and"
    if joined and (text.word(after + 1) in ARTICLES or text.word(after + 2) in cues.FRACTIONS):
        return  # three dollars and a half
    coins = number(text.words, after + joined)
    if coins is None or coins.kind is not Kind.CARDINAL:
        yield Number(atom.first, after, f"{sign}{amount}")
    elif text.word(coins.end) in CURRENCIES[sign][2:] and coins.value < 100:
        yield Number(atom.first, coins.end + 1, f"{sign}{amount}.{coins.value:02}")
    elif joined and text.word(coins.end) not in cues.COINS:
        yield Number(atom.first, after, f"{sign}{amount}")


def _is_weight(text: Context, atom: Atom) -> bool:
    """Pounds are money unless something near says weight."""
    if text.word(atom.end) == "pound":
        return text.word(atom.end + 1) not in cues.NOTES
    near = {*text.words[max(0, atom.first - 6) : atom.first]}
    near |= {*text.words[atom.end + 1 : atom.end + 6]}
    return text.word(atom.end + 1) == "of" or not near.isdisjoint(cues.WEIGHT)


def _percent(text: Context, first: int, end: int, amount: str) -> Iterator[Number]:
    if text.word(end) == "percent":
        yield Number(first, end + 1, f"{amount}%")
    elif text.follows(end, "per", "cent"):
        yield Number(first, end + 2, f"{amount}%")


def _is_round(text: Context, atom: Atom) -> bool:
    """A hundred, a thousand, a hundred thousand."""
    said = text.words[atom.first : atom.end]
    return said[0] in ARTICLES and {*said[1:]} <= {"hundred", *SCALES}


def _linked(text: Context, atom: Atom) -> bool:
    return text.word(atom.first - 1) in cues.LINKS and text.word(atom.first - 2) in NAMES


# What stays in words


def _stays(text: Context, atom: Atom) -> bool:
    return (
        _is_part_of_a_phrase(text, atom)
        or in_old_order(text, atom)
        or _is_rough(text, atom)
        or _shares_a_scale(text, atom)
    )


def _is_part_of_a_phrase(text: Context, atom: Atom) -> bool:
    before, after, then = (text.word(at) for at in (atom.first - 1, atom.end, atom.end + 1))
    said = text.words[atom.first : atom.end]
    return (
        before in cues.STOPS_BEFORE
        or after in cues.STOPS_AFTER
        or (atom.value <= 12 and _is_hour(text, atom.first))
        or (after == "some" and then != "of" and atom.value % 10 == 0)
        or any(text.follows(atom.end, *phrase) for phrase in cues.PHRASES_AFTER)
        or (before in ("no", "any") and said[0] == "one")
        or (before == "between" and "and" in said)
        or (said[0] in ARTICLES and _is_many(said))
        or (after in ("past", "to") and 0 < SMALL.get(then, 0) <= 12)
        or (after == "minutes" and then in ("past", "to"))
        or (after == "and" and then in cues.COINS)
        or (after == "and" and text.word(atom.end + 2) in cues.FRACTIONS)
    )


def _is_hour(text: Context, at: int) -> bool:
    """Half past eleven, quarter to twelve; not: the past twelve years."""
    before, earlier = text.word(at - 1), text.word(at - 2)
    return (before == "past" and earlier != "the") or (
        before == "to" and earlier in ("quarter", "minutes", "minute")
    )


def _is_many(said: Sequence[str]) -> bool:
    """A hundred and one, a thousand and one."""
    return len(said) == 4 and list(said[-2:]) == ["and", "one"]


def in_old_order(text: Context, atom: Atom) -> bool:
    """Five and twenty; not: between forty five and fifty."""
    if text.word(atom.first - 1) != "and" or atom.value % 10:
        return False
    is_one_digit = 0 < SMALL.get(text.word(atom.first - 2), 0) < 10
    return is_one_digit and text.word(atom.first - 3) not in ROUND


def _is_rough(text: Context, atom: Atom) -> bool:
    """Ten or twelve, six to eighteen: both stay words."""
    joined = text.word(atom.first - 1) in ("or", "to") and not text.is_written(atom.first - 1)
    return joined and SMALL.get(text.word(atom.first - 2), 99) <= 10 and atom.value <= 20


def _shares_a_scale(text: Context, atom: Atom) -> bool:
    """Two or three hundred, fifteen to twenty thousand: the first number lacks its scale."""
    if not atom.scaled or text.word(atom.first - 1) not in cues.LINKS:
        return False
    if text.word(atom.first - 2) not in SMALL.keys() | ROUND.keys():
        return False
    if not text.is_written(atom.first - 1):
        return True
    if not text.found[-1].text.isdigit() or int(text.found[-1].text) >= 100:
        return False
    text.found.pop()
    return True


# Decimals


def fraction_end(text: Context, at: int) -> int:
    """Where the digits end that are said behind `point`; `at` if there are none."""
    if text.word(at) != "point":
        return at
    end = at + 1
    while SMALL.get(text.word(end), 10) < 10 or text.word(end) in OH:
        end += 1
    return end if end > at + 1 else at


def decimals(text: Context, whole: Atom, end: int) -> Iterator[Number]:
    """The ways to write a decimal number, the longest first."""
    said = text.words[whole.end + 1 : end]
    before, after = text.word(whole.first - 1), text.word(end)
    counted = after in ("percent", "per", *LARGE)
    unsure = (
        _is_round(text, whole)
        or _is_part_of_a_phrase(text, whole)
        or (whole.value == 1 and not counted and before in cues.BEFORE_POINTS)
        or after == "point"
        or (after in NAMES and after not in LARGE)
    )
    if unsure or len(said) > 9:
        return
    number = f"{whole.value:,}." + "".join(str(SMALL.get(word, 0)) for word in said)
    if after in LARGE:
        if sign := SIGNS.get(text.word(end + 1), ""):
            yield Number(whole.first, end + 2, f"{sign}{number} {after}")
        yield Number(whole.first, end + 1, f"{number} {after}")
    yield from _percent(text, whole.first, end, number)
    yield Number(whole.first, end, number)
