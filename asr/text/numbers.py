"""Digits and signs in texts: refused, spelled out, or dropped.

Numbers are spelled by num2words (https://github.com/savoirfairelinux/num2words), if there is one
way to read them. A date, a time, a range, a price, or an ordinal with a dot has several, or others
in each language: it stays as it is, so that whoever needs words can name it.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Literal, TypeAlias, get_args

from asr.errors import BadOption
from asr.text.languages import language_name
from asr.text.normalise import is_read_aloud

Numbers: TypeAlias = Literal["refuse", "spell", "drop"]
"""What becomes of digits and signs: nothing, words, or spaces."""
NUMBERS: tuple[Numbers, ...] = get_args(Numbers)

_POINT = frozenset({"en", "zh", "yue", "ja", "ko", "th", "he", "hi", "bn", "te", "kn", "ms", "sw"})
"""Languages that write 1,000.5; others write 1.000,5."""
_SPACED = frozenset({"fr", "ru", "uk", "be", "pl", "cs", "sk", "hu", "bg", "fi", "sv", "no"})
"""Languages that write 1 000 with a space."""
_DOTTED = frozenset(
    {"de", "da", "no", "fi", "cs", "sk", "pl", "hu", "sl", "hr", "sr", "et", "lv", "lt", "tr"}
)
"""Languages in which 3. is also an ordinal."""
_YEARS = frozenset({"en", "de", "nl", "no", "da"})
"""Languages that read 1984 as nineteen eighty-four."""
_PERCENT = {
    "ca": "per cent", "cs": "procent", "da": "procent", "de": "Prozent", "en": "percent",
    "es": "por ciento", "fi": "prosenttia", "fr": "pour cent", "hu": "százalék", "id": "persen",
    "it": "per cento", "nl": "procent", "no": "prosent", "pl": "procent", "pt": "por cento",
    "ru": "процентов", "sv": "procent", "uk": "відсотків",
}  # fmt: skip
_AND = {
    "ca": "i", "cs": "a", "da": "og", "de": "und", "en": "and", "es": "y", "fi": "ja", "fr": "et",
    "hu": "és", "id": "dan", "it": "e", "nl": "en", "no": "og", "pl": "i", "pt": "e", "sv": "och",
}  # fmt: skip
_MOST_DIGITS = 12
_BEFORE, _AFTER = "([{\"'«»„“”‚‘", ")]}\"'»«“”’‘,;:!?…"


def read_numbers(way: str, language: str) -> Callable[[str], str]:
    """What treats the digits and signs of a text in that way.

    Raises:
        BadOption: there is no such way, or no words for the numbers of the language.
        ModuleNotFoundError: num2words, of the extra `numbers`, is not installed.
    """
    if way not in NUMBERS:
        raise BadOption(f"numbers {way!r} is not known; choose from {', '.join(NUMBERS)}.")
    if way == "refuse":
        return str
    return _dropped if way == "drop" else partial(spell, number=_speaker(language), code=language)


def spell(text: str, number: Callable[[Decimal, str], str], code: str) -> str:
    """The text with words for numbers, % after them and & between words, where that is certain.

    Args:
        number: says a number as `cardinal`, `ordinal` or `year`.
        code: of the language.
    """
    if code in _SPACED:
        text = re.sub(r"(?<!\S)(\d{1,3})((?: \d{3})+)(?![\w.])", _together, text)
    words = re.sub(r"(\d) %", r"\1%", text).split()
    last = len(words) - 1
    return " ".join(_spelled(word, number, code, at == last) for at, word in enumerate(words))


def _together(found: re.Match[str]) -> str:
    return found[0].replace(" ", "")


def _spelled(word: str, number: Callable[[Decimal, str], str], code: str, is_last: bool) -> str:
    if word == "&":
        return _AND.get(code, word)
    core = word.lstrip(_BEFORE).rstrip(_AFTER)
    if core.endswith(".") and (is_last or code not in _DOTTED):
        core = core[:-1].rstrip(_AFTER)
    percent = core.endswith("%")
    if percent and code not in _PERCENT:
        return word
    if code == "en" and (found := re.fullmatch(r"([1-9]\d{0,5})(st|nd|rd|th)", core)):
        said = number(Decimal(found[1]), "ordinal")
    elif (value := _value(core.removesuffix("%"), code)) is None:
        return word
    else:
        plain = core.isdecimal() and 1100 <= value < 2000 and code in _YEARS
        said = number(value, "year" if plain else "cardinal")
    return word.replace(core, f"{said} {_PERCENT[code]}" if percent else said, 1)


def _value(core: str, code: str) -> Decimal | None:
    """The number that is written, if it can be nothing else."""
    mark, point = (",", r"\.") if code in _POINT else (r"\.", ",")
    thousands = rf"[1-9]\d{{0,2}}(?:[{mark}\u00a0\u202f'’]\d{{3}})+"
    found = re.fullmatch(rf"({thousands}|0|[1-9]\d*)(?:{point}(\d*[1-9]))?", core, re.ASCII)
    if found is None:
        return None
    whole = re.sub(r"\D", "", found[1])
    if len(whole) > _MOST_DIGITS or len(found[2] or "") > _MOST_DIGITS:
        return None
    return Decimal(f"{whole}.{found[2]}" if found[2] else whole)


def _dropped(text: str) -> str:
    return "".join(" " if is_read_aloud(char) else char for char in text)


def _speaker(language: str) -> Callable[[Decimal, str], str]:
    from num2words import CONVERTER_CLASSES, num2words

    if language not in CONVERTER_CLASSES:
        raise BadOption(
            f"num2words has no words for numbers in {language_name(language)}: write them as "
            "spoken, or leave --numbers out."
        )

    def said(number: Decimal, way: str) -> str:
        whole = int(number) if number == int(number) else number
        return str(num2words(whole, lang=language, to=way))

    return said
