"""A search as plain arrays, which can be kept in a file, and a search from them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.cache import Arrays
from asr.decoding.beam.kernel import Model
from asr.decoding.beam.lexicon import Lexicon, Spellings
from asr.decoding.beam.search import BeamSearch, Pronounce
from asr.text import Tokenizer

_PARTS = {"lexicon": Lexicon, "model": Model}
_SEQUENCES = ("words", "units", "starts")


def arrays(search: BeamSearch) -> dict[str, NDArray[Any]]:
    """All that a search was prepared from; what it spells and pronounces with is not in it."""
    found = {
        f"{part}.{name}": np.asarray(value)
        for part in _PARTS
        for name, value in getattr(search, part)._asdict().items()
    }
    found |= {f"sequences.{name}": getattr(search.sequences, name) for name in _SEQUENCES}
    words = "\n".join(search.vocabulary).encode("utf-8")
    return found | {
        "vocabulary": np.frombuffer(words, np.uint8),
        "unigram": search.unigram,
        "common": search.common,
    }


def from_arrays(
    arrays: Arrays, tokenizer: Tokenizer | None, pronounce: Pronounce | None
) -> BeamSearch:
    """The search, with what else `BeamSearch` is given; it keeps views of the arrays."""
    lexicon, model = (_part(kind, arrays, name) for name, kind in _PARTS.items())
    return BeamSearch(
        lexicon=lexicon,
        vocabulary=tuple(arrays["vocabulary"].tobytes().decode("utf-8").split("\n")),
        tokenizer=tokenizer,
        sequences=Spellings(
            *(arrays[f"sequences.{name}"] for name in ("words", "units", "starts"))
        ),
        model=model,
        unigram=arrays["unigram"],
        common=arrays["common"],
        pronounce=pronounce,
    )


def _part(kind: Any, arrays: Arrays, part: str) -> Any:
    """A named tuple of arrays and numbers."""
    found = (arrays[f"{part}.{name}"] for name in kind._fields)
    return kind(*(value if value.ndim else value.item() for value in found))
