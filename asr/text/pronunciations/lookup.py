"""Pronunciations of any word: from a dictionary, by rules for its form, or from a model."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from asr.text.pronunciations.dictionary import ARPABET, Phones, Pronunciations
from asr.text.pronunciations.english import base_of, with_s
from asr.text.pronunciations.g2p import G2P, LONGEST

Source: TypeAlias = Literal["dictionary", "form", "model"]

_LEAST = 0.25  # share of the best guess's probability: guesses below it are rarely right
_WORDS = 2000  # between two reports of progress


@dataclass(frozen=True)
class Pronounced:
    """A word's pronunciations."""

    word: str
    said: tuple[Phones, ...]
    """The most probable first; empty if neither dictionary nor model has any."""
    source: Source
    """`form`: that of the base form, from the dictionary or the model, with an ending."""


def pronounce(
    words: Iterable[str],
    dictionary: Pronunciations | None,
    g2p: G2P | None,
    nbest: int = 3,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> list[Pronounced]:
    """Up to `nbest` pronunciations of each word in normal form; repeated words count once."""
    known = dictionary or Pronunciations({})
    asked = list(dict.fromkeys(words))
    forms: dict[str, tuple[str, bool]] = {}
    if ARPABET.issuperset({*known.phones, *(g2p.phones if g2p else ())}):
        lacking = (word for word in asked if word not in known)
        forms = {word: form for word in lacking if (form := base_of(word, known))}
    bases = [forms[word][0] if word in forms else word for word in asked]
    guessed = _guessed([base for base in bases if base not in known], g2p, nbest, progress)
    result = []
    for word, base in zip(asked, bases, strict=True):
        said = (known.of(base) or guessed.get(base, ()))[:nbest]
        if word in forms and forms[word][1]:
            said = tuple(with_s(phones) for phones in said)
        source: Source = "form" if word in forms else "dictionary" if word in known else "model"
        result.append(Pronounced(word, said, source))
    return result


class WithGuesses(Mapping[str, tuple[Phones, ...]]):
    """A dictionary, and a model that pronounces the words that it lacks when they are looked up.

    It does not contain words that neither can pronounce. It iterates over the dictionary's words.
    """

    def __init__(self, dictionary: Pronunciations, g2p: G2P | None) -> None:
        self._dictionary, self._g2p = dictionary, g2p
        self._guessed: dict[str, tuple[Phones, ...]] = {}

    @classmethod
    def load(cls, lexicon: Path, g2p: Path | None) -> "WithGuesses":
        """The lexicon of a bundle, and its model if it has one."""
        return cls(Pronunciations.load_saved(lexicon), None if g2p is None else G2P.load(g2p))

    def __getitem__(self, word: str) -> tuple[Phones, ...]:
        if word in self._dictionary:
            return self._dictionary[word]
        if word not in self._guessed:
            (item,) = pronounce([word], self._dictionary, self._g2p)
            self._guessed[word] = item.said
        if not self._guessed[word]:
            raise KeyError(word)
        return self._guessed[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dictionary)

    def __len__(self) -> int:
        """Number of words in the dictionary."""
        return len(self._dictionary)


def complete(
    words: Iterable[str],
    dictionary: Pronunciations,
    load_g2p: Callable[[], G2P | None],
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Pronunciations:
    """The dictionary, and pronunciations by a model of those words that it lacks.

    Args:
        words: in normal form; those that the model cannot pronounce are left out.
        load_g2p: called only if a word is missing, since loading takes most of a second.
    """
    lacking = [word for word in words if word and word not in dictionary]
    if not lacking or (g2p := load_g2p()) is None:
        return dictionary
    added = pronounce(lacking, dictionary, g2p, progress=progress)
    return dictionary.merged(Pronunciations({item.word: item.said for item in added}))


def _guessed(
    words: Iterable[str], g2p: G2P | None, nbest: int, progress: Callable[[int, int], None]
) -> dict[str, tuple[Phones, ...]]:
    """The model's pronunciations of the words that it can read."""
    if g2p is None:
        return {}
    readable = sorted(w for w in set(words) if len(w) <= LONGEST and not g2p.unknown(w))
    guessed: dict[str, tuple[Phones, ...]] = {}
    for start in range(0, len(readable), _WORDS):
        part = readable[start : start + _WORDS]
        for word, row in zip(part, g2p.pronounce_all(part, nbest), strict=True):
            sounding = [guess for guess in row if guess.phones]  # a lone "h" may be silent
            least = _LEAST * max((guess.probability for guess in sounding), default=0.0)
            guessed[word] = tuple(guess.phones for guess in sounding if guess.probability >= least)
        progress(start + len(part), len(readable))
    return guessed
