"""One spelling for training, scoring and output: lower case, words and the marks inside them."""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TypeAlias

from asr.errors import BadOption
from asr.scripts import joined
from asr.text.languages import DEFAULT_LANGUAGE, DOTLESS_I, language_code

Normaliser: TypeAlias = Callable[[str], str]
"""Text as written -> normal form."""

PLAIN = "plain"
"""The name of `normalise` in bundles and options."""

_INNER = "'·״"
"""Marks that belong to a word if they stand inside it."""
_JOINERS = "\u200c\u200d"  # without them Persian and Indic words are other words
_ZERO_WIDTH_SPACE = "\u200b"  # parts words in Khmer and Thai
_SAME = str.maketrans(
    {
        **dict.fromkeys("’‘‛ʼ`´′՚׳", "'"),
        "ŉ": "'n",
        "‧": "·",
        "\u0640": None,  # Arabic tatweel only stretches a word
        _ZERO_WIDTH_SPACE: " ",
        "İ": "i",  # else it would become i and a second dot
    }
)
_COMPOSED = (("\u0e4d\u0e32", "\u0e33"), ("\u0ecd\u0eb2", "\u0eb3"))  # NFKC takes Thai am apart
_GERSHAYIM = re.compile('(?<=[\u05d0-\u05ea])["”](?=[\u05d0-\u05ea])')
_SPOKEN_SIGNS = "%‰&@#§"  # punctuation in Unicode, but read aloud
_PICTURES = (("\u2300", "\u2bff"), ("\U0001f000", "\U0001faff"))
"""Emoji, stars, notes, check marks, boxes: nobody reads them aloud."""
_PICTURE_STYLES = {*map(chr, range(0xFE00, 0xFE10)), "\u20e3"}  # in colour, in the shape of a key


def normalise(text: str, language: str = DEFAULT_LANGUAGE) -> str:
    """The text in lower case without punctuation, words joined by single spaces.

    Apostrophes, middle dots and gershayim inside a word are kept ("don't", "col·legi"), those
    around it are removed. Letters, digits and marks of any script, and signs that are read aloud
    (%, £, &), are kept: the tokenizer decides whether a model can spell them. Joiners stay; soft
    hyphens, marks of direction, emoji and other pictures go. Scripts without spaces between words
    get none.

    Args:
        language: decides the lower case of I, which has no dot in Turkish and Azerbaijani.
    """
    text = _GERSHAYIM.sub("״", "".join(map(_visible, text))).translate(_SAME)
    text = unicodedata.normalize("NFKC", text).translate(_SAME)
    if language in DOTLESS_I:
        text = text.replace("I", "ı")
    text = text.lower()
    for apart, whole in _COMPOSED:
        text = text.replace(apart, whole)
    kept = "".join(map(_kept, text)).split()
    return unicodedata.normalize("NFC", joined(filter(None, map(_trimmed, kept))))


def normaliser(name: str, language: str) -> Normaliser:
    """The normaliser of that name for a language; BadOption if there is none."""
    if name != PLAIN:
        raise BadOption(f"the normaliser {name!r} is not known here: update earshot.")
    return partial(normalise, language=language_code(language))


def is_read_aloud(char: str) -> bool:
    """Whether a character stands for words that depend on the reader, such as digits, £ and &."""
    category = unicodedata.category(char)
    return char in _SPOKEN_SIGNS or category[0] == "N" or category in ("Sc", "Sm")


@lru_cache(1 << 16)
def _visible(char: str) -> str:
    """The character, unless it only formats: a soft hyphen, a mark of direction, a style."""
    formats = unicodedata.category(char) == "Cf" and char not in _JOINERS + _ZERO_WIDTH_SPACE
    return "" if formats or char in _PICTURE_STYLES else char


@lru_cache(1 << 16)
def _kept(char: str) -> str:
    # What is read aloud must not be dropped silently.
    is_kept = char in _INNER + _JOINERS + _SPOKEN_SIGNS or unicodedata.category(char)[0] in "LNMS"
    return char if is_kept and not _is_picture(char) else " "


def _is_picture(char: str) -> bool:
    in_a_block = any(first <= char <= last for first, last in _PICTURES)
    return in_a_block and unicodedata.category(char) in ("So", "Sk")


def _trimmed(word: str) -> str:
    return word.strip(_INNER + "\u200c").lstrip(_INNER + _JOINERS)
