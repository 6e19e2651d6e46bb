"""The beam search of a bundle with a language model: prepared once, then mapped from the cache."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from asr.bundle import Bundle
from asr.bundle.bundle import G2P_MODEL, LEXICON, TOKENIZER, checksum
from asr.cache import Arrays, find, keep
from asr.decoding.beam import BeamSearch, Spellings
from asr.decoding.beam.prepared import arrays, from_arrays
from asr.lm import read_ngram
from asr.text import PhoneTokenizer
from asr.text.phones import SPACE
from asr.text.pronunciations import G2P, Pronunciations, complete, pronounce

_KIND = "search"
_LINES = "pronunciations"
_PREPARING = ("text", "lm", "decoding")
"""Rooms whose code decides what is prepared."""


def load_search(bundle: Bundle, lm: Path | None) -> BeamSearch:
    """The search in a bundle's units with the n-gram model in a file, or without one.

    Raises:
        BadOption: the language model is of other units.
        BadData: it cannot be read.
    """
    if lm is None:
        return BeamSearch.by_spelling(bundle.tokenizer)
    key = _key(bundle, lm, bundle.info.checksums)
    if (found := find(_KIND, key)) is not None:
        return _opened(bundle, found)
    prepared = _prepared(bundle, lm)
    # A file that was replaced while it was read would be kept under the name of the old one.
    if _key(bundle, lm, {}) == key and keep(_KIND, key, prepared):
        # What is mapped is shared with other processes, and what was prepared is freed.
        prepared = find(_KIND, key) or prepared
    return _opened(bundle, prepared)


def _key(bundle: Bundle, lm: Path, known: Mapping[str, str]) -> str:
    """Names what the search is made of: code and files.

    Args:
        known: checksums by the names of the bundle's files; others are computed.
    """
    names = [name for name in (TOKENIZER, LEXICON, G2P_MODEL) if name in bundle.info.checksums]
    paths = [*(bundle.path / name for name in names), lm]
    return " ".join([_code(), *(_checksum(path, bundle, known) for path in paths)])


def _checksum(path: Path, bundle: Bundle, known: Mapping[str, str]) -> str:
    if path.parent == bundle.path and path.name in known:
        return f"{path.name} {known[path.name]}"
    try:
        return f"{path.name} {checksum(path)}"
    except OSError:  # whoever reads it next says so
        return path.name


@cache
def _code() -> str:
    """A digest of the code that prepares: another version may prepare something else."""
    digest = hashlib.sha256()
    for room in _PREPARING:
        for path in sorted(Path(__file__).parents[1].joinpath(room).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _prepared(bundle: Bundle, lm: Path) -> Arrays:
    """The arrays of the search, and the lines of the words that it can pronounce."""
    tokenizer, model = bundle.tokenizer, read_ngram(lm)
    if not isinstance(tokenizer, PhoneTokenizer) or bundle.lexicon is None:
        return arrays(BeamSearch.by_spelling(tokenizer, model))
    saved = Pronunciations.load_saved(bundle.lexicon)
    known = complete(model.spellable, saved, lambda: _g2p(bundle))
    sequences = Spellings.said(tokenizer, known, model.spellable)
    search = BeamSearch.by_sound(sequences, model, tokenizer.n_phones, SPACE)
    lines = "\n".join(known.lines()).encode("utf-8")
    return {**arrays(search), _LINES: np.frombuffer(lines, np.uint8)}


def _opened(bundle: Bundle, prepared: Arrays) -> BeamSearch:
    if _LINES not in prepared:
        return from_arrays(prepared, bundle.tokenizer, None)
    return from_arrays(prepared, None, _Pronounced(bundle, prepared))


@dataclass(frozen=True)
class _Pronounced:
    """Pronounces hot words; its dictionary and its model are loaded when one first needs them."""

    bundle: Bundle
    prepared: Arrays

    def __call__(self, words: Sequence[str]) -> list[list[list[int]]]:
        tokenizer = self.bundle.tokenizer
        assert isinstance(tokenizer, PhoneTokenizer)
        return [
            [tokenizer.pronounce([phones]) for phones in pronounced.said]
            for pronounced in pronounce(words, self._known, self._g2p)
        ]

    @cached_property
    def _known(self) -> Pronunciations:
        return Pronunciations.of_lines(self.prepared[_LINES].tobytes().decode("utf-8"))

    @cached_property
    def _g2p(self) -> G2P | None:
        return _g2p(self.bundle)


def _g2p(bundle: Bundle) -> G2P | None:
    return None if bundle.g2p is None else G2P.load(bundle.g2p)
