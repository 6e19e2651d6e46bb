"""English number words that become digits in written text, by rules.

A wrong digit is worse than a word: what may mean something else stays as it is.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from asr.punctuation.numbers import cues
from asr.punctuation.numbers.amounts import (
    SIGNS,
    amounts,
    decimals,
    fraction_end,
    in_old_order,
    is_each,
    one_and_coins,
)
from asr.punctuation.numbers.context import Context
from asr.punctuation.numbers.grammar import (
    ARTICLES,
    HUNDRED,
    NAMES,
    OH,
    ORDINALS,
    PLURALS,
    ROUND,
    SMALL,
    Atom,
    Kind,
    day,
    row,
)
from asr.punctuation.numbers.number import Number
from asr.punctuation.numbers.spelling import SCALES, suffix_of
from asr.punctuation.numbers.years import years

STARTS = NAMES | ORDINALS.keys() | ARTICLES | OH
LONGEST_ROW = 20
"""Digits of a row that is one number."""


def english(words: Sequence[str]) -> list[Number]:
    """The numbers of plain English words, each of which reads as the words it replaces."""
    text = Context(words)
    at = 0
    while at < len(words):
        at = _step(text, at) if words[at] in STARTS else at + 1
    return text.found


def _step(text: Context, at: int) -> int:
    """Writes what begins at a word that may begin a number; returns where to go on."""
    if (date := day(text.words, at)) and _is_date(text, date):
        text.keep([_ordinal(date)])
        return date.end
    if text.words[at] in ARTICLES and text.keep(one_and_coins(text, at)):
        return text.done(at)
    if text.words[at] in {"zero", *OH} and text.keep(_hour_of_day(text, at)):
        return text.done(at)
    if text.words[at] in OH:
        return _behind_oh(text, at)
    atoms = row(text.words, at)
    if not atoms:
        return at + 1
    end = atoms[-1].end
    if any(atom.kind is Kind.BARE for atom in atoms):
        return _after_bare(text, end)
    if len(atoms) > 1:
        return _row(text, atoms)
    if atoms[0].kind is Kind.ORDINAL:
        if not _is_no_ordinal(text, atoms[0]):
            text.keep([_ordinal(atoms[0])])
        return end
    if (fraction := fraction_end(text, end)) > end:
        text.keep(decimals(text, atoms[0], fraction))
        return text.done(fraction)
    text.keep(amounts(text, atoms[0]))
    return text.done(end)


def _after_bare(text: Context, end: int) -> int:
    """Several hundred and fifty are one number, of which not all is known."""
    rest = row(text.words, end + 1) if text.word(end) == "and" else []
    return rest[-1].end if rest else end


# Dates and ordinals


def _is_date(text: Context, date: Atom) -> bool:
    """May fifth and the fifth of May; not: you may first ask."""
    before, earlier = text.word(date.first - 1), text.word(date.first - 2)
    behind = date.first - (2 if before == "the" else 1)  # the fifth and the tenth of May
    linked = text.word(behind) in cues.LINKS and text.word(behind - 1) in ORDINALS
    if linked and not text.is_written(behind):
        return False
    if text.word(date.end) == "of" and text.word(date.end + 1) in cues.MONTHS:
        return not in_old_order(text, date)
    if before == "the":
        # Not: the fifth of June the first time.
        return earlier in cues.MONTHS - cues.VERBS and text.word(date.first - 3) != "of"
    if before not in cues.MONTHS:
        return False
    sure = before not in cues.VERBS or date.value > 2 or earlier in cues.DATES
    return sure or bool(years(row(text.words, date.end), cued=True))


def _ordinal(atom: Atom) -> Number:
    return Number(atom.first, atom.end, f"{atom.value:,}{suffix_of(atom.value)}")


def _is_no_ordinal(text: Context, atom: Atom) -> bool:
    """A fraction, a twenty second pause, an idiom."""
    before, after = text.word(atom.first - 1), text.word(atom.end)
    said = text.words[atom.first : atom.end]
    begins = said[0] in {"one", *ARTICLES} and before not in cues.DETERMINERS
    return (
        before in NAMES
        or in_old_order(text, atom)
        or after in cues.WHOLES - {"of"}
        or (before in ARTICLES and after in {"", *cues.WHOLES})
        or (begins and said[-1] in cues.PARTS and len(said) == 2)
        or (said[-1] == "second" and not _is_counted(text, atom))
        or (said[-1] == "second" and after in cues.LASTING)
        or atom.value % 10**6 == 0
        or (said[-1], after) in cues.IDIOMS
    )


def _is_counted(text: Context, atom: Atom) -> bool:
    """The twenty second, twenty first and twenty second; not: a twenty second pause."""
    before = text.word(atom.first - 1)
    linked = before in cues.LINKS and text.is_written(atom.first - 1)
    other = linked and text.found[-1].text.endswith(("st", "nd", "rd", "th"))
    sure = other or before in cues.DETERMINERS | cues.MONTHS
    return sure or text.word(atom.end) == "of"


# Rows of several numbers


def _row(text: Context, atoms: Sequence[Atom]) -> int:
    first, end = atoms[0].first, atoms[-1].end
    if text.word(first - 1) not in cues.STOPS_BEFORE and not _is_amount(text, first, end):
        found = _day_and_year(text, atoms) or _years(text, atoms)
        if text.keep(_time(text, atoms)):
            return text.done(end)
        if found:
            for one in found:
                text.keep([one])
            return found[-1].end
        if text.keep(_digits(text, atoms)):
            return text.done(end)
    text.left = end
    return end


def _is_amount(text: Context, first: int, end: int) -> bool:
    """Whether the row counts something, so that its parts are unclear."""
    after, last = text.word(end), text.word(end - 1)
    unsure = last in ("hundreds", "tens") or (text.word(first) == "twenty" and last in PLURALS)
    if unsure and text.word(first - 1) not in cues.BEFORE_DECADES:
        return True
    return after in SIGNS or after in ("percent", "per", "cents", "point", "odd", *cues.FRACTIONS)


def _day_and_year(text: Context, atoms: Sequence[Atom]) -> list[Number]:
    """June six nineteen forty four."""
    date = atoms[0]
    if text.word(date.first - 1) not in cues.MONTHS or not 1 <= date.value <= 31:
        return []
    rest = years(atoms[1:], cued=True)
    last = atoms[-1]
    if len(atoms) == 2 and last.kind is Kind.CARDINAL and 1000 < last.value < 2100:
        rest = [Number(last.first, last.end, str(last.value))]  # two thousand and six
    is_all = bool(rest) and rest[-1].end == last.end
    return [Number(date.first, date.end, str(date.value)), *rest] if is_all else []


def _years(text: Context, atoms: Sequence[Atom]) -> list[Number]:
    first, end = atoms[0].first, atoms[-1].end
    if _says_year(text, first):
        return years(atoms, cued=True)
    before, after = text.word(first - 1), text.word(end)
    if before in cues.PRICES or is_each(text, end):
        return []
    # In this century ten to nineteen are sure where they count nothing; twenty twenty is vision.
    teen = len(atoms) == 2 and atoms[0].value == 20 and 10 <= atoms[1].value <= 20
    ends = after in cues.FUNCTION_WORDS | cues.THINGS_OF_A_YEAR or (
        after == "" and atoms[1].value < 20
    )
    return years(atoms, cued=teen and ends and before not in cues.SCORES)


def _says_year(text: Context, at: int) -> bool:
    before = text.word(at - 1)
    # June fourth, June twenty fourth.
    dated = before in ORDINALS and text.word(at - 2) in {*cues.MONTHS, *ROUND}
    this_century = text.word(at) == "twenty" and (
        before in cues.YEARS_OF_THIS_CENTURY or text.follows_year(at)
    )
    return dated or this_century or before in cues.YEARS


def _time(text: Context, atoms: Sequence[Atom]) -> Iterator[Number]:
    first, end = atoms[0].first, atoms[-1].end
    if not _is_time(atoms):
        return
    number = f"{atoms[0].value}:{atoms[-1].value:02}"
    half, after = text.half_of_day(end)
    if half:
        yield Number(first, after, f"{number} {half}")
    said = any(text.follows(end, *phrase) for phrase in cues.DAY)
    ends = text.word(end) in {"", *cues.FUNCTION_WORDS}
    if said or (text.word(first - 1) in cues.BEFORE_TIMES_ALONE and ends):
        yield Number(first, end, number)


def _is_time(atoms: Sequence[Atom]) -> bool:
    """Seven forty five, seven oh five."""
    if any(atom.scaled or atom.kind not in (Kind.CARDINAL, Kind.OH) for atom in atoms):
        return False
    hour, last = atoms[0].value, atoms[-1].value
    two = len(atoms) == 2 and 10 <= last <= 59
    three = len(atoms) == 3 and atoms[1].kind is Kind.OH and 1 <= last <= 9
    return 1 <= hour <= 12 and (two or three)


def _digits(text: Context, atoms: Sequence[Atom]) -> Iterator[Number]:
    """Digits that are said one by one, unless somebody counts."""
    values = [atom.value for atom in atoms]
    first, end = atoms[0].first, atoms[-1].end
    single = all(atom.kind in (Kind.CARDINAL, Kind.OH) and atom.value < 10 for atom in atoms)
    if not single:
        return
    before, named = text.word(first - 1), text.word(first - 1) in cues.NAMED_BY_DIGITS
    if _ends_with_oh(text, end, named or 0 in values):
        values, end = [*values, 0], end + 1
    if len(values) > LONGEST_ROW or text.word(end) in (*cues.MULTIPLES, *SCALES):
        return
    least = 3 if named or 0 in values else 4
    if len(values) < least or (_is_counting(values) and not named):
        return
    if not (_is_time(atoms) and before in cues.MAY_SAY_TIMES):  # it's seven oh five
        yield Number(first, end, "".join(map(str, values)))


def _ends_with_oh(text: Context, end: int, sure: bool) -> bool:
    """Whether an `oh` behind digits is their last; else it is a cry."""
    after = text.word(end + 1)
    return text.word(end) in OH and (after == "" or (sure and after not in cues.CRIES))


def _behind_oh(text: Context, at: int) -> int:
    """Oh two oh seven nine four six: where digits follow, it is the first of them."""
    after = text.word(at + 1)
    if text.follows(at + 2, HUNDRED) and 0 < SMALL.get(after, 0) < 10:
        ends = text.word(at + 3) in {"", *cues.FUNCTION_WORDS} - {"and"}
        return at + 3 if ends else at + 1  # at oh six hundred; or a cry
    atoms = [Atom(at, at + 1, Kind.OH)]
    while SMALL.get(word := text.word(atoms[-1].end), 10) < 10 or word in OH:
        end = atoms[-1].end
        atoms.append(Atom(end, end + 1, Kind.CARDINAL, SMALL.get(word, 0)))
    values, end = [atom.value for atom in atoms], atoms[-1].end
    if len(values) < 4:
        return at + 1
    unsure = text.word(end) in {*NAMES, *cues.MULTIPLES} or text.word(at - 1) in cues.MULTIPLES
    if not unsure and len(values) <= LONGEST_ROW and not _is_counting(values[1:]):
        text.keep([Number(at, end, "".join(map(str, values)))])
    return end


def _hour_of_day(text: Context, at: int) -> Iterator[Number]:
    """Oh six hundred hours."""
    hour = SMALL.get(text.word(at + 1), 0)
    sure = text.follows(at + 3, "hours") or text.word(at - 1) in cues.BEFORE_TIMES_ALONE
    if 0 < hour < 10 and sure and text.follows(at + 2, HUNDRED):
        yield Number(at, at + 3, f"0{hour}00")


def _is_counting(values: Sequence[int]) -> bool:
    """Two three five, three two one, one two one two, ten times the same."""
    steps = [b - a for a, b in pairwise(values)]
    one_way = min(steps) > 0 or max(steps) < 0 or not any(steps)
    return one_way or (max(values) <= 4 and 0 not in values)
