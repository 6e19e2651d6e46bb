"""Years and decades that are said by two numbers: eighteen twelve, nineteen oh five."""

from collections.abc import Sequence

from asr.punctuation.numbers.grammar import Atom, Kind
from asr.punctuation.numbers.number import Number


def years(atoms: Sequence[Atom], cued: bool) -> list[Number]:
    """The years of a row of atoms; none if it may be something else.

    Args:
        cued: the words before name a year, such as `in` or a date. Then the row begins with one
            and may go on with another number.
    """
    found: list[Number] = []
    at = 0
    while at < len(atoms):
        year, at = _year(atoms, at, cued)
        if year is None:
            return []
        found.append(year)
        if cued:
            break
    return found


def _year(atoms: Sequence[Atom], at: int, cued: bool) -> tuple[Number | None, int]:
    """The year that begins at an atom, and the atom behind it."""
    century, *rest = atoms[at : at + 3]
    if not rest or not _is_century(century):
        return None, at
    used = 2 if rest[0].kind is Kind.OH else 1
    written = _last_digits(century.value, rest[0], rest[-1], cued)
    end = rest[used - 1].end if len(rest) >= used else 0
    year = Number(century.first, end, f"{century.value}{written}") if written and end else None
    return year, at + 1 + used


def _last_digits(century: int, rest: Atom, last: Atom, cued: bool) -> str:
    """What is written behind the century; empty if it is no year."""
    if rest.kind is Kind.DECADE:
        known = century >= 11 and (rest.value > 0 or century < 20)
        return f"{rest.value:02}s" if known else ""
    if rest.kind is Kind.OH:
        known = century >= 13 and last.kind is Kind.CARDINAL and 0 < last.value < 10
        return f"0{last.value}" if known else ""
    if rest.kind is not Kind.CARDINAL or rest.scaled or not 10 <= rest.value <= 99:
        return ""
    known = _is_sure(century, rest.value) or (cued and century > 12)
    return str(rest.value) if known else ""


def _is_century(atom: Atom) -> bool:
    return atom.kind is Kind.CARDINAL and not atom.scaled and 10 <= atom.value <= 20


def _is_sure(century: int, rest: int) -> bool:
    """Whether the two mean a year by themselves: not a time, and not fifteen to twenty."""
    if century <= 12:
        return rest >= 60
    if century == 20:
        return rest > 20 and rest % 10 > 0
    return rest > 20 or rest <= century
