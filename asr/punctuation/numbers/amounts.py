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
    linked = _linked(text, atom)
    if linked:
        yield from _hours(text, atom)
    if _stays(text, atom):
        return
    amount, first = _amount(atom.value), atom.first + _begins_with_a_word(text, atom)
    if not linked:
        yield from _clock(text, atom)
        yield from _money(text, atom, amount, first)
    if not linked or text.is_written(atom.first - 1):
        yield from _percent(text, atom.first, atom.end, amount)
    if atom.value > 10 and not _is_round(text, atom):
        yield Number(first, atom.end, _plain(text, atom, amount))


def _begins_with_a_word(text: Context, atom: Atom) -> bool:
    """A hundred and fifty year old house has an article of its own."""
    after, then = text.word(atom.end), text.word(atom.end + 1)
    ends = then in {"", *cues.FUNCTION_WORDS, *cues.DIMENSIONS}
    of_another = (after in cues.MEASURES and not ends) or then in cues.NOTES
    return text.word(atom.first) in ARTICLES and of_another


def _amount(value: int) -> str:
    """`3 million`, `1,250,000`, `12`."""
    for scale in reversed(LARGE):
        if value % SCALES[scale] == 0 and 0 < value < 1000 * SCALES[scale]:
            return f"{value // SCALES[scale]} {scale}"
    return f"{value:,}"


def _plain(text: Context, atom: Atom, amount: str) -> str:
    """Years, two thousand and six, and eighteen hundred men have no separator."""
    before = text.word(atom.first - 1)
    cued = before == "year" or (before in cues.YEARS and 1000 < atom.value < 2100)
    by_hundreds = "thousand" not in text.words[atom.first : atom.end]
    bare = cued or by_hundreds or 2000 < atom.value < 2100 or _is_between_years(text, atom)
    return str(atom.value) if bare and 1000 <= atom.value < 10_000 else amount


def _is_between_years(text: Context, atom: Atom) -> bool:
    """Nineteen ninety to two thousand, between two thousand and two thousand and five."""
    if atom.value != 2000:
        return False
    if text.follows_year(atom.first):
        return True
    after = number(text.words, atom.end + 1) if text.word(atom.end) in cues.LINKS else None
    return after is not None and 2000 < after.value < 2100


def _clock(text: Context, atom: Atom) -> Iterator[Number]:
    before = text.word(atom.first - 1)
    if not 1 <= atom.value <= 12:
        return
    if text.word(atom.end) == "o'clock":
        yield Number(atom.first, atom.end, str(atom.value))
    half, end = text.half_of_day(atom.end)
    # "Am" may be a verb: all five am I.
    verb = text.word(end - 1) == "am" and (atom.value == 1 or text.word(end) == "i")
    if half and (not verb or before in cues.BEFORE_TIMES):
        yield Number(atom.first, end, f"{atom.value} {half}")


def _hours(text: Context, atom: Atom) -> Iterator[Number]:
    """Between ten and eleven a.m.: both are written."""
    half, end = text.half_of_day(atom.end)
    first, before = SMALL.get(text.word(atom.first - 2), 0), text.word(atom.first - 3)
    if (
        not (half and text.word(end) != "i" and 1 <= first <= 12 and 1 <= atom.value <= 12)
        or before in NAMES
    ):
        return
    if not text.is_written(atom.first - 1):
        text.keep([Number(atom.first - 2, atom.first - 1, str(first))])
    yield Number(atom.first, end, f"{atom.value} {half}")


def _money(text: Context, atom: Atom, amount: str, first: int) -> Iterator[Number]:
    sign = SIGNS.get(text.word(atom.end), "")
    if not sign or (_is_round(text, atom) and atom.value >= 10**6):
        return
    if sign == "£" and _is_weight(text, atom):
        return
    after = atom.end + 1
    joined = text.word(after) == "and"
    behind = cues.FRACTIONS | (cues.COINS if text.word(after + 1) in ARTICLES else frozenset())
    if joined and text.word(after + 2) in behind:
        return  # three dollars and a half
    coins = number(text.words, after + joined)
    if coins is None or coins.kind is not Kind.CARDINAL or text.word(coins.end) in SIGNS:
        yield Number(first, after, f"{sign}{amount}")
    elif end := _coins_end(text, sign, coins, joined):
        yield Number(atom.first, end, f"{sign}{amount}.{coins.value:02}")
    elif joined and text.word(coins.end) not in cues.COINS:
        yield Number(first, after, f"{sign}{amount}")


def one_and_coins(text: Context, at: int) -> Iterator[Number]:
    """A dollar fifty."""
    sign = SIGNS.get(text.word(at + 1), "")
    if not sign or text.word(at) not in ARTICLES or text.word(at + 1) != CURRENCIES[sign][0]:
        return
    joined = text.word(at + 2) == "and"
    coins = number(text.words, at + 2 + joined)
    if coins and (end := _coins_end(text, sign, coins, joined)):
        yield Number(at, end, f"{sign}1.{coins.value:02}")


def _coins_end(text: Context, sign: str, coins: Atom, joined: bool) -> int:
    """Where the coins end that stand behind a sum; 0 if they are something else."""
    if coins.kind is not Kind.CARDINAL or coins.scaled:
        return 0
    after = text.word(coins.end)
    if after in CURRENCIES[sign][2:]:
        return coins.end + 1
    # Below twenty they may be shillings, and before a thing its number.
    bare = not joined and coins.value >= (20 if sign == "£" else 10)
    ends = after in {"", *cues.FUNCTION_WORDS} or is_each(text, coins.end)
    return coins.end if bare and ends else 0


def is_each(text: Context, at: int) -> bool:
    return any(text.follows(at, *phrase) for phrase in cues.AFTER_PRICES)


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
        or (after in ("past", "to") and _is_hour_of(text, atom))
        or (after == "minutes" and then in ("past", "to"))
        or (after == "and" and then in cues.COINS)
        or (after == "and" and text.word(atom.end + 2) in cues.FRACTIONS)
        or (atom.scaled and after in ("first", "second") and then not in cues.RANKED)
        or (before in cues.LINKS and text.left == atom.first - 1)
        or _is_second_measure(text, atom)
    )


def _is_second_measure(text: Context, atom: Atom) -> bool:
    """Five foot eleven, whose five stays a word; not: five pounds ten pounds."""
    earlier, before = text.word(atom.first - 3), text.word(atom.first - 1)
    measured = before in cues.MEASURES_OF_TWO and text.word(atom.end) not in SIGNS
    first = SMALL.get(text.word(atom.first - 2), 99)
    return measured and first <= 10 and earlier not in NAMES and atom.value < 14


def _is_hour_of(text: Context, atom: Atom) -> bool:
    """Whether an hour stands behind minutes, or a small number in a ratio: ten to one."""
    hour = number(text.words, atom.end + 1)
    return hour is not None and 0 < hour.value <= 12


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
    """Ten or twelve, six to eighteen, between ten and twenty: both stay words."""
    before = text.word(atom.first - 1)
    joined = before in ("or", "to", "by") or (
        before == "and" and text.word(atom.first - 3) == "between"
    )
    if not joined or text.is_written(atom.first - 1):
        return False
    return SMALL.get(text.word(atom.first - 2), 99) <= 10 and atom.value <= 20


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
    while SMALL.get(word := text.word(end), 10) < 10 or (
        word in OH and text.word(end + 1) not in cues.CRIES
    ):
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
