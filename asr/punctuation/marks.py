"""Written text <-> plain words, each with its case and the mark behind it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import zip_longest

from asr.text import normalise

MARKS = ("", ",", ".", "?", "!", ":", ";", "\u2014")
"""What may stand behind a word; nothing first."""
CASES = ("lower", "capital", "upper", "mixed")
"""How a word is written: `word`, `Word`, `WORD`, or in a form of its own as `McDonald`."""
NONE, COMMA, STOP, QUESTION, EXCLAMATION, COLON, SEMICOLON, DASH = range(len(MARKS))
LOWER, CAPITAL, UPPER, MIXED = range(len(CASES))
ENDS = frozenset({STOP, QUESTION, EXCLAMATION})
"""Marks that end a sentence."""

# Spoken forms of abbreviations, whose full stop ends nothing.
_SPOKEN = {
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "st": "saint",
    "messrs": "messieurs",
    "capt": "captain",
    "col": "colonel",
    "gen": "general",
    "gov": "governor",
    "lieut": "lieutenant",
    "lt": "lieutenant",
    "prof": "professor",
    "rev": "reverend",
    "sergt": "sergeant",
    "esq": "esquire",
    "hon": "honorable",
    "jr": "junior",
    "sr": "senior",
}
_ABBREVIATED = frozenset(_SPOKEN) | {
    "ms",
    "mme",
    "mlle",
    "maj",
    "sgt",
    "mt",
    "ft",
    "vol",
    "vols",
    "vs",
    "viz",
    "etc",
}
_HYPHENATED = re.compile(r"(?<=\w)- (?=\w)")
_TWO_CAPITALS = re.compile(r"(mc|o')([^\W\d_]{4,})")
_DASHES = re.compile(r"\s*(?:-\s?-+|[\u2013\u2014]+|\s-\s)\s*-*")
_DOTS = re.compile(r"\s*(?:\.\s?){2,}|\u2026")
_WORDS = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*['\u2019]?")
_TRAILING = str.maketrans("", "", "\"'\u2019\u201d\u201c\u2018)]}*_(")
_QUOTES = "\"'\u201c\u2018"
_BY_SIGN = {sign: number for number, sign in enumerate(MARKS)}
_PRIORITY = "?!.:;,\u2014"
_CACHED = 1 << 17


@dataclass(frozen=True, slots=True)
class Written:
    """A plain word, how it is written, and the mark behind it."""

    plain: str
    case: int
    mark: int
    form: str
    """As it is written, without the mark."""
    quoted: bool = False
    """Whether a quotation begins with it."""


def parse(text: str) -> Iterator[Written | None]:
    """The words of a written text, in order; None where a number or sign in it has no one reading.

    Quotation marks and brackets are left out, and so are hyphens within words, as they are in plain
    text. English abbreviations before names are read out.
    """
    text = _HYPHENATED.sub("-", text)
    text = _DASHES.sub(" \u2014 ", text)
    text = _DOTS.sub(" \u2026 ", text)
    held: list[Written] = []
    tokens = text.split()
    for token, following in zip_longest(tokens, tokens[1:], fillvalue=""):
        if token == "\u2026":
            starts = not following or capital(following) == following
            _mark(held, "." if starts else "\u2014")
            continue
        if not any(map(str.isalnum, token)):
            _mark(held, token)
            continue
        yield from held
        read = _token(token)
        held = list(read or ())
        if read is None:
            yield None
    yield from held


@lru_cache(_CACHED)
def _token(token: str) -> tuple[Written, ...] | None:
    """The words of what stands between two spaces; None if some have no one reading."""
    bare = token.translate(_TRAILING)
    end = len(bare.rstrip("?!.:;,"))
    trailing = bare[end:]
    words: list[Written] = []
    for form in _WORDS.findall(token):
        plain = normalise(form)
        if not plain or " " in plain or not all(c.isalpha() or c == "'" for c in plain):
            return None
        quoted = not words and token[0] in _QUOTES
        words.append(Written(plain, case_of(form.strip("'\u2019")), NONE, form, quoted))
    if not words:
        return None
    last = words[-1]
    if trailing.startswith(".") and _is_abbreviated(last, words):
        spoken = _SPOKEN.get(last.plain, last.plain)
        form = spoken.capitalize() if last.case else spoken
        words[-1] = Written(spoken, last.case and CAPITAL, NONE, form, last.quoted)
        trailing = trailing[1:]
    _mark(words, trailing)
    return tuple(words)


def _is_abbreviated(last: Written, words: Sequence[Written]) -> bool:
    initial = len(last.plain) == 1 and last.case and last.plain != "i"
    return bool(initial) or (len(words) == 1 and last.plain in _ABBREVIATED)


def _mark(words: list[Written], trailing: str) -> None:
    """Gives the last word the strongest mark of what stands behind it."""
    sign = next((sign for sign in _PRIORITY if sign in trailing), None)
    if words and sign is not None:
        last = words[-1]
        ends = last.mark in ENDS  # `went out. --` ends a sentence
        if not ends:
            words[-1] = replace(last, mark=_BY_SIGN[sign])


def read_back(written: str) -> tuple[str, int]:
    """A written word without the mark behind it, and the mark."""
    last = written[-1:]
    if last and last in MARKS:
        return written[:-1].rstrip(), MARKS.index(last)
    return written, NONE


def case_of(form: str) -> int:
    """The case of a word as it is written."""
    letters = [char for char in form if char.isalpha()]
    upper = [char.isupper() for char in letters]
    if not any(upper):
        return LOWER
    if upper[0] and not any(upper[1:]):
        return CAPITAL
    return UPPER if all(upper) else MIXED


def cased(word: str, case: int, forms: Mapping[str, str]) -> str:
    """A plain word in this case.

    Args:
        forms: the known forms of words that are written in one of their own.
    """
    if case == MIXED:
        return forms.get(word) or _name(word)
    if case == UPPER:
        upper = word.upper()
        return upper if upper.lower() == word else word
    return _name(word) if case == CAPITAL else word


def _name(word: str) -> str:
    """The word with a capital letter first, and with two in McDonald and O'Brien."""
    found = _TWO_CAPITALS.match(word)
    if found is None or found[2] == "clock":
        return capital(word)
    return capital(found[1]) + capital(word[found.end(1) :])


def capital(word: str) -> str:
    """The word with a capital letter first; as it is where lower case would not bring it back."""
    for place, char in enumerate(word):
        if char.isalpha():
            written = word[:place] + char.upper() + word[place + 1 :]
            return written if written.lower() == word else word
    return word
