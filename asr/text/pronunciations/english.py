"""Pronunciations of English words that a dictionary has only in another form.

Only for forms where these rules make fewer errors than the grapheme-to-phoneme model
(docs/results.md).
"""

from collections.abc import Container

from asr.text.pronunciations.dictionary import Phones

_VOICELESS = frozenset(["P", "T", "K", "F", "TH"])
_SIBILANTS = frozenset(["S", "Z", "SH", "ZH", "CH", "JH"])
_SHORTEST = 2  # letters of a base: in "a's" the a is the name of the letter


def base_of(word: str, known: Container[str]) -> tuple[str, bool] | None:
    """The base form of `word`, and whether its pronunciation gets an s.

    Args:
        known: the dictionary's words.
    """
    if word.endswith("'s") and len(word) - 2 >= _SHORTEST:
        return word[:-2], True  # of any word, known or not
    bases: list[tuple[str, bool]] = []
    if word.endswith("'d"):  # look'd
        bases.append((f"{word[:-2]}ed", False))
    if word.endswith("ies"):
        bases.append((f"{word[:-3]}y", True))
    if word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        bases.append((word[:-2], True))
    if word.endswith("s") and not word.endswith("ss"):
        bases.append((word[:-1], True))
    fitting = (base for base in bases if len(base[0]) > _SHORTEST and base[0] in known)
    return next(fitting, None)


def with_s(phones: Phones) -> Phones:
    """The pronunciation with the s of a plural, a possessive or a verb's third person."""
    if phones[-1] in _SIBILANTS:
        return (*phones, "IH", "Z")
    return (*phones, "S" if phones[-1] in _VOICELESS else "Z")
