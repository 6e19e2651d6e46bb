"""Languages by their codes, and what is special in how some are written."""

import re

from asr.errors import BadOption

DEFAULT_LANGUAGE = "en"
DOTLESS_I = frozenset({"tr", "az"})
"""Languages with an i without a dot, whose capital is I."""
UNSPACED = frozenset({"zh", "yue", "wuu", "ja", "th", "lo", "km", "my"})
"""Languages that write no spaces between words, so that their error rate is of characters."""

_NAMES = {
    "ar": "arabic", "az": "azerbaijani", "bn": "bengali", "ca": "catalan", "cs": "czech",
    "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "fa": "persian", "fi": "finnish", "fr": "french", "he": "hebrew", "hi": "hindi",
    "hu": "hungarian", "id": "indonesian", "it": "italian", "ja": "japanese", "ko": "korean",
    "lt": "lithuanian", "nl": "dutch", "no": "norwegian", "pl": "polish", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sv": "swedish", "sw": "swahili", "th": "thai",
    "tr": "turkish", "uk": "ukrainian", "vi": "vietnamese", "zh": "chinese",
}  # fmt: skip
_CODES = {name: code for code, name in _NAMES.items()}
_LONGEST = 40
_CODE = re.compile("([a-z]{2,3})([-_][a-z0-9]{1,8}){0,3}")


def language_code(language: str) -> str:
    """The code of a language: `de` for "de", "DE", "de-AT" or "German".

    Raises:
        BadOption: it is no code, and no name that is known.
    """
    lower = language.strip().lower() if len(language) <= _LONGEST else ""
    if lower in _CODES:
        return _CODES[lower]
    code = _CODE.fullmatch(lower)
    if code is None:
        raise BadOption(
            f"{language[:_LONGEST]!r} is no language: give its code of two or three letters, such "
            "as de."
        )
    return code[1]


def language_name(code: str) -> str:
    """The English name of a language, or its code if the name is not known."""
    return _NAMES[code].title() if code in _NAMES else code
