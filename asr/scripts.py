"""Scripts that put no spaces between words: their texts count, and are timed, by character."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u3007\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"  # ideographs
)
_CHARACTER = re.compile(f"[{_UNSPACED}]")
_NEEDLESS = re.compile(f"(?<=[{_UNSPACED}]) | (?=[{_UNSPACED}])")


def is_unspaced(text: str) -> bool:
    """Whether any character is of a script without spaces, such as Chinese, Japanese or Thai."""
    return _CHARACTER.search(text) is not None


def joined(words: Iterable[str]) -> str:
    """The text of words: with spaces between them, except beside scripts that have none."""
    return _NEEDLESS.sub("", " ".join(words))


def tokens(text: str) -> list[str]:
    """The words of a text in normal form; of scripts without spaces each character with its marks.

    `joined` is the inverse.
    """
    return [token for word in text.split() for token in _tokens(word)]


def _tokens(word: str) -> Iterator[str]:
    first = 0
    for at in range(1, len(word)):
        if begins_token(word[at - 1], word[at]):
            yield word[first:at]
            first = at
    yield word[first:]


def begins_token(before: str, char: str) -> bool:
    """Whether a character of a word begins a token of its own behind `before`."""
    return unicodedata.category(char)[0] != "M" and is_unspaced(before + char)
