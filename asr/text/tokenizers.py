"""Tokenizers: text -> units of the CTC head, and back.

Unit 0 is CTC's blank in every tokenizer; it never stands for text.
"""

import base64
import io
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import sentencepiece

from asr.errors import BadData, BadOption
from asr.text.ctc import BLANK

ENGLISH = " 'abcdefghijklmnopqrstuvwxyz"
SPACE_SIGN = "▁"
"""A space in the spellings of units, as SentencePiece writes that before a word."""


class Tokenizer(Protocol):
    """What training, decoding and bundles need of a tokenizer."""

    @property
    def n_units(self) -> int:
        """Number of units, blank included."""
        ...

    @property
    def n_phones(self) -> int:
        """Number of units of a second head that spells phones, blank included; 0 for none."""
        ...

    @property
    def spellings(self) -> tuple[str, ...]:
        """The spelling of each unit, with "▁" for a space; the blank's is empty."""
        ...

    def encode(self, text: str) -> list[int]:
        """Normalised text -> units without blanks; characters in `unknown(text)` are refused."""
        ...

    def decode(self, units: Iterable[int]) -> str:
        """Units -> text. Any sequence of units has a text; blanks are dropped."""
        ...

    def unknown(self, text: str) -> set[str]:
        """The characters of `text` that no unit can spell."""
        ...

    def word_spans(self, units: Sequence[int]) -> list[tuple[str, int, int]]:
        """`(word, first, end)` for each word: it is spelled by `units[first:end]`."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything that `tokenizer_from_state` needs, in JSON types."""
        ...


class CharacterTokenizer:
    """One unit per character of an alphabet, which includes the space."""

    n_phones = 0

    def __init__(self, alphabet: str = ENGLISH) -> None:
        if len(set(alphabet)) != len(alphabet) or " " not in alphabet:
            raise BadOption(
                f"alphabet {alphabet!r} must hold a space and no character twice; correct it."
            )
        self.alphabet = alphabet
        self._unit = {char: unit for unit, char in enumerate(alphabet, start=1)}

    @property
    def n_units(self) -> int:
        return len(self.alphabet) + 1

    @property
    def spellings(self) -> tuple[str, ...]:
        return ("", *self.alphabet.replace(" ", SPACE_SIGN))

    def encode(self, text: str) -> list[int]:
        if unknown := self.unknown(text):
            raise BadData(f"no unit spells {_listed(unknown)} in {text!r}; add to the alphabet.")
        return [self._unit[char] for char in text]

    def decode(self, units: Iterable[int]) -> str:
        spelled = "".join(self.alphabet[unit - 1] for unit in units if unit != BLANK)
        return " ".join(spelled.split())

    def unknown(self, text: str) -> set[str]:
        return set(text) - self._unit.keys()

    def word_spans(self, units: Sequence[int]) -> list[tuple[str, int, int]]:
        space = self._unit[" "]
        spans: list[tuple[str, int, int]] = []
        first = 0
        for end in range(len(units) + 1):
            if end == len(units) or units[end] == space:
                if word := self.decode(units[first:end]):
                    spans.append((word, first, end))
                first = end + 1
        return spans

    def state(self) -> dict[str, Any]:
        return {"kind": "characters", "alphabet": self.alphabet}


class SubwordTokenizer:
    """SentencePiece unigram subwords (Kudo, 2018); piece 0, its unknown piece, is the blank."""

    n_phones = 0

    def __init__(self, model: bytes) -> None:
        self.model = model
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise BadData(
                "the SentencePiece model cannot be read: copy the bundle or checkpoint anew."
            ) from error
        self._spellings: list[str] = [
            self._pieces.id_to_piece(unit) for unit in range(self._pieces.vocab_size())
        ]
        self._characters = {piece for piece in self._spellings[1:] if len(piece) == 1}

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> "SubwordTokenizer":
        """Learns the `size` subwords that fit `texts` best.

        Raises:
            BadOption: `size` does not suit the texts, or there are none.
        """
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=model,
                vocab_size=size,
                model_type="unigram",
                character_coverage=1.0,
                normalization_rule_name="identity",
                unk_id=BLANK,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                num_threads=1,  # with more threads the order of sums, and so the pieces, vary
                minloglevel=2,
            )
        except RuntimeError as error:
            raise BadOption(_unsuited(size, str(error))) from error
        return cls(model.getvalue())

    @property
    def n_units(self) -> int:
        return len(self._spellings)

    @property
    def spellings(self) -> tuple[str, ...]:
        return ("", *self._spellings[1:])

    def encode(self, text: str) -> list[int]:
        if unknown := self.unknown(text):
            raise BadData(f"no subword spells {_listed(unknown)} in {text!r}; see units.kind.")
        units: list[int] = self._pieces.encode(text)
        return units

    def decode(self, units: Iterable[int]) -> str:
        spelled = "".join(self._spellings[unit] for unit in units if unit != BLANK)
        return " ".join(spelled.replace(SPACE_SIGN, " ").split())

    def unknown(self, text: str) -> set[str]:
        return set(text.replace(" ", "")) - self._characters

    def word_spans(self, units: Sequence[int]) -> list[tuple[str, int, int]]:
        starts = [
            index
            for index, unit in enumerate(units)
            if index == 0 or self._spellings[unit].startswith(SPACE_SIGN)
        ]
        spans = [
            (self.decode(units[first:end]), first, end)
            for first, end in pairwise([*starts, len(units)])
        ]
        return [span for span in spans if span[0]]  # a word-start sign alone spells nothing

    def state(self) -> dict[str, Any]:
        return {"kind": "sentencepiece", "model": base64.b64encode(self.model).decode("ascii")}


def _unsuited(size: int, reason: str) -> str:
    """The reason, from SentencePiece's message, why it cannot learn `size` subwords."""
    if most := re.search(r"a value <= (\d+)", reason):
        return (
            f"data.units.size {size} is more subwords than the training texts give: lower it to "
            f"{most[1]} or less, or train on more text."
        )
    if least := re.search(r"required_chars\. -?\d+ vs (\d+)", reason):
        return (
            f"data.units.size {size} is less than the training texts have characters: raise it to "
            f"{least[1]} or more."
        )
    if "sentences_.empty()" in reason:
        return "there are no training texts to learn subwords from: check data.train."
    return (
        f"subwords cannot be learnt from the training texts with data.units.size {size}: give "
        "another size, or set data.units.kind to characters."
    )


def _listed(characters: set[str]) -> str:
    return ", ".join(repr(char) for char in sorted(characters))
