"""Phones as units: words -> pronunciations -> the units of a second CTC head.

A model with phones has two heads on one encoder: letters, which spell any word, and phones, which
a lexicon turns into words. The space between words is a unit of its own in both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

from asr.errors import BadData, BadOption
from asr.text.ctc import BLANK
from asr.text.pronunciations.dictionary import ARPABET
from asr.text.tokenizers import ENGLISH, CharacterTokenizer

SPACE = 1
"""The unit between two words."""
ENGLISH_PHONES = tuple(sorted(ARPABET))
"""The phones of the CMU Pronouncing Dictionary, in ARPAbet without stress."""

Pronunciation: TypeAlias = tuple[str, ...]
Lexicon: TypeAlias = Mapping[str, Sequence[Pronunciation]]
"""Word -> its pronunciations, the most usual one first."""


class PhoneTokenizer(CharacterTokenizer):
    """Letters and phones: in both, unit 0 is the blank and unit 1 the space."""

    def __init__(self, phones: Sequence[str] = ENGLISH_PHONES, alphabet: str = ENGLISH) -> None:
        super().__init__(alphabet)
        if len(set(phones)) != len(phones) or not phones or any(not p.split() for p in phones):
            raise BadOption(f"phones {phones!r} must be names, none empty or twice; correct them.")
        self.phones = tuple(phones)
        self.n_phones = SPACE + 1 + len(phones)
        self.unit_of: Mapping[str, int] = {p: unit for unit, p in enumerate(phones, SPACE + 1)}

    def pronounce(self, words: Iterable[Pronunciation]) -> list[int]:
        """The units of several words' pronunciations, with spaces between them.

        Raises:
            BadData: a phone that the units lack.
        """
        try:
            units = [[self.unit_of[phone] for phone in word] for word in words]
        except KeyError as error:
            raise BadData(f"no unit stands for the phone {error}; add it to the phones.") from None
        return list(chain.from_iterable([SPACE, *word] for word in units))[1:]

    def phones_of(self, units: Iterable[int]) -> list[str]:
        """The names of phone units; the space is "|", blanks are dropped."""
        return ["|" if u == SPACE else self.phones[u - SPACE - 1] for u in units if u != BLANK]

    def state(self) -> dict[str, Any]:
        return {"kind": "phones", "alphabet": self.alphabet, "phones": list(self.phones)}


@dataclass(frozen=True)
class Pronouncer:
    """Spells texts in phones, each word with its usual pronunciation."""

    tokenizer: PhoneTokenizer
    lexicon: Lexicon

    def __call__(self, text: str, said: str | None = None) -> list[int]:
        """The phone units of a normalised text whose words the lexicon has.

        Args:
            said: the spoken pronunciation if it is known: phones, with "|" between words.
        """
        if said is not None:
            return self.tokenizer.pronounce(tuple(word.split()) for word in said.split("|"))
        return self.tokenizer.pronounce(self.lexicon[word][0] for word in text.split())

    def unknown_phones(self, said: str) -> set[str]:
        """The phones of a spoken pronunciation that the units lack."""
        return set(said.replace("|", " ").split()) - self.tokenizer.unit_of.keys()

    def ways(self, text: str) -> list[list[list[int]]]:
        """For each word of a normalised text, the units of all its pronunciations."""
        return [
            [self.tokenizer.pronounce([way]) for way in self.lexicon[word]] for word in text.split()
        ]

    def unknown(self, text: str) -> list[str]:
        """The words of a normalised text that the lexicon lacks."""
        return [word for word in text.split() if word not in self.lexicon]
