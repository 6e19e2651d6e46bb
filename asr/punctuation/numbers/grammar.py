"""Number words in a row, read as atoms: cardinals, ordinals and what stands among them."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

from asr.punctuation.numbers.spelling import ONES, SCALES, TENS, ordinal_of, plural_of

SMALL = {word: value for value, word in enumerate(ONES)}
ROUND = {word: value for value, word in TENS.items()}
HUNDRED = "hundred"
NAMES = {*SMALL, *ROUND, HUNDRED, *SCALES}
ORDINALS = {ordinal_of(word): word for word in NAMES - {"zero"}}
PLURALS = {"tens": 10, **{plural_of(word): value for word, value in ROUND.items()}}
OH = {"oh", "o"}
ARTICLES = {"a", "an"}


class Kind(Enum):
    CARDINAL = auto()
    ORDINAL = auto()
    OH = auto()
    """The letter for zero: nineteen oh five."""
    DECADE = auto()
    """The twenties of nineteen twenties."""
    BARE = auto()
    """A scale without its count: several hundred."""


class Atom(NamedTuple):
    """words[first:end], which are one number."""

    first: int
    end: int
    kind: Kind
    value: int = 0
    scaled: bool = False
    """Whether hundreds or a larger scale are said."""


def row(words: Sequence[str], at: int) -> list[Atom]:
    """The longest row of atoms that begins at `words[at]`; none if no number does.

    An ordinal is a row by itself, and a decade ends one: the twentieth two thousand men, the
    nineteen seventies three of them.
    """
    atoms: list[Atom] = []
    while atom := _atom(words, at, bool(atoms)):
        if atom.kind is Kind.ORDINAL:
            return atoms or [atom]
        atoms.append(atom)
        if atom.kind is Kind.DECADE:
            break
        at = atom.end
    return atoms


def _atom(words: Sequence[str], at: int, inside: bool) -> Atom | None:
    word = _word(words, at)
    if word in OH:
        after = _word(words, at + 1)
        # At the end of a row it is a cry.
        follows = inside and (after in OH or SMALL.get(after, 10) < 10)
        return Atom(at, at + 1, Kind.OH) if follows else None
    if inside and word in PLURALS:
        return Atom(at, at + 1, Kind.DECADE, PLURALS[word])
    if inside and word == "hundreds":
        return Atom(at, at + 1, Kind.DECADE)
    if word == HUNDRED or word in SCALES:
        return Atom(at, at + 1, Kind.BARE)
    return number(words, at)


def number(words: Sequence[str], at: int) -> Atom | None:
    """The longest cardinal, or ordinal above tenth, that begins at `words[at]`."""
    total, end, limit, group = 0, at, 10**15, _group(words, at, hundreds=True)
    if group and group.kind is Kind.ORDINAL and group.value <= 10:
        return None
    while group:
        scale = _word(words, group.end)
        if group.kind is Kind.ORDINAL:
            return Atom(at, group.end, Kind.ORDINAL, total + group.value, end > at or group.scaled)
        if (size := _scale(scale)) and group.value < 1000:
            if size >= limit:  # five thousand ten thousand
                break
            total, limit, end = total + group.value * size, size, group.end + 1
            if scale in ORDINALS:
                return Atom(at, end, Kind.ORDINAL, total, True)
        else:
            return Atom(at, group.end, Kind.CARDINAL, total + group.value, end > at or group.scaled)
        group = _rest(words, end)
    return Atom(at, end, Kind.CARDINAL, total, True) if end > at else None


def day(words: Sequence[str], at: int) -> Atom | None:
    """The ordinal at `words[at]` if a month has such a day."""
    found = _below_hundred(words, at)
    return found if found and found.kind is Kind.ORDINAL and found.value <= 31 else None


def _rest(words: Sequence[str], at: int) -> Atom | None:
    """What follows a scale: a group, or the last two digits behind `and`."""
    if _word(words, at) != "and":
        group = None if _word(words, at) in ARTICLES else _group(words, at, hundreds=False)
        return None if group and _counts_on(group) else group
    small = _below_hundred(words, at + 1)
    return small if small and not _is_scale(_word(words, small.end)) else None


def _counts_on(atom: Atom) -> bool:
    """Whether it may stand for itself: two hundred first are two hundred that come first."""
    return atom.kind is Kind.ORDINAL and atom.value <= 10


def _group(words: Sequence[str], at: int, hundreds: bool) -> Atom | None:
    """Below a thousand, or eighteen hundred and twelve where `hundreds` may be counted so."""
    if _word(words, at) in ARTICLES:
        if not _is_scale(_word(words, at + 1)):
            return None
        count = Atom(at, at + 1, Kind.CARDINAL, 1)
    elif (found := _below_hundred(words, at)) is None or found.kind is Kind.ORDINAL:
        return found
    else:
        count = found
    after = _word(words, count.end)
    most = 100 if hundreds else 10
    if not (0 < count.value < most and (count.value < 10 or count.value % 10)):
        return count
    if after == "hundredth":
        return Atom(at, count.end + 1, Kind.ORDINAL, 100 * count.value, True)
    if after != HUNDRED:
        return count
    value, end = 100 * count.value, count.end + 1
    small = _rest_of_hundred(words, end)
    if small is None:
        return Atom(at, end, Kind.CARDINAL, value, True)
    return Atom(at, small.end, small.kind, value + small.value, True)


def _rest_of_hundred(words: Sequence[str], at: int) -> Atom | None:
    joined = _word(words, at) == "and"
    small = _below_hundred(words, at + joined)
    if small is None or not small.value or _word(words, small.end) in (HUNDRED, "hundredth"):
        return None
    return None if _counts_on(small) and not joined else small


def _below_hundred(words: Sequence[str], at: int) -> Atom | None:
    word, after = _word(words, at), _word(words, at + 1)
    if word in SMALL:
        return Atom(at, at + 1, Kind.CARDINAL, SMALL[word])
    if word in ROUND and 0 < SMALL.get(after, 10) < 10:
        return Atom(at, at + 2, Kind.CARDINAL, ROUND[word] + SMALL[after])
    if word in ROUND and 0 < SMALL.get(ORDINALS.get(after, ""), 10) < 10:
        return Atom(at, at + 2, Kind.ORDINAL, ROUND[word] + SMALL[ORDINALS[after]])
    if word in ROUND:
        return Atom(at, at + 1, Kind.CARDINAL, ROUND[word])
    if (plain := ORDINALS.get(word, "")) in SMALL or plain in ROUND:
        return Atom(at, at + 1, Kind.ORDINAL, SMALL.get(plain, 0) or ROUND.get(plain, 0))
    return None


def _scale(word: str) -> int:
    return SCALES.get(ORDINALS.get(word, word), 0)


def _is_scale(word: str) -> bool:
    return word in (HUNDRED, "hundredth") or _scale(word) > 0


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if 0 <= at < len(words) else ""
