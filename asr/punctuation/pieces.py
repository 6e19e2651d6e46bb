"""Words as rows of a table of pieces: the word itself, its beginnings and its endings."""

from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

PIECES = 8
"""Rows of a word, some of them 0 for none: two of the whole word, so that two words hardly ever
share both, two beginnings and four endings."""
_BEGINNINGS = (3, 5)
_ENDINGS = (1, 2, 3, 4)
_CACHED = 1 << 16


def pieces(words: Sequence[str], rows: int) -> NDArray[np.int64]:
    """`(T, PIECES)`: the rows of each word in a table of so many; row 0 stands for none."""
    found = np.zeros((len(words), PIECES), np.int64)
    for place, word in enumerate(words):
        found[place] = _pieces(word, rows)
    return found


@lru_cache(_CACHED)
def _pieces(word: str, rows: int) -> tuple[int, ...]:
    names = [f"={word}", f"#{word}"]
    names += [f"<{word[:size]}" if len(word) > size else "" for size in _BEGINNINGS]
    names += [f"{word[-size:]}>" if len(word) > size else "" for size in _ENDINGS]
    return tuple(1 + crc32(name.encode()) % (rows - 1) if name else 0 for name in names)
