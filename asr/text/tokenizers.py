"""Tokenizers: words -> the units that the CTC head spells in, and back.

Unit 0 is CTC's blank in every tokenizer; it never stands for text.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

import sentencepiece

from asr.errors import BadData, BadOption

BLANK = 0
ENGLISH = " 'abcdefghijklmnopqrstuvwxyz"
_SPACE = "▁"  # as SentencePiece writes the space before a word


class Tokenizer(Protocol):
    """What training, decoding and the bundle ask of a set of units."""

    @property
    def n_units(self) -> int:
        """Number of units, blank included."""
        ...

    @property
    def spellings(self) -> tuple[str, ...]:
        """What each unit spells, with "▁" for a space; the blank's is empty."""
        ...

    def encode(self, text: str) -> list[int]:
        """Normalised text -> units without blanks; characters in `unknown(text)` are refused."""
        ...

    def decode(self, units: Iterable[int]) -> str:
        """Units -> text. Any sequence of units has a text; blanks say nothing."""
        ...

    def unknown(self, text: str) -> set[str]:
        """The characters of `text` that no unit can spell."""
        ...

    def word_spans(self, units: Sequence[int]) -> list[tuple[str, int, int]]:
        """`(word, first, end)` for each word: it is spelled by `units[first:end]`."""
        ...

    def state(self) -> dict[str, Any]:
        """All that `tokenizer_from_state` needs, JSON types only."""
        ...


@dataclass(frozen=True)
class Units:
    """Which units the model spells in."""

    kind: Literal["characters", "sentencepiece"] = "characters"
    """`characters` of `alphabet`, or `sentencepiece` subwords learnt from the training texts."""
    alphabet: str = ENGLISH
    """The characters that may occur, space included (for `characters`)."""
    size: int = 256
    """Number of subwords, blank included (for `sentencepiece`)."""

    def count(self) -> int:
        """Number of units, blank included; known before any text is read."""
        return len(self.alphabet) + 1 if self.kind == "characters" else self.size

    def tokenizer(self, texts: Iterable[str]) -> Tokenizer:
        """The tokenizer; subwords are learnt from `texts` (normalised), deterministically."""
        if self.kind == "characters":
            return CharacterTokenizer(self.alphabet)
        return SubwordTokenizer.learn(texts, self.size)


class CharacterTokenizer:
    """One unit per character of an alphabet, the space between words among them."""

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
        return ("", *self.alphabet.replace(" ", _SPACE))

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

    def __init__(self, model: bytes) -> None:
        self.model = model
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise BadData(f"the SentencePiece model cannot be read ({error}).") from error
        self._spellings: list[str] = [
            self._pieces.id_to_piece(unit) for unit in range(self._pieces.vocab_size())
        ]
        self._characters = {piece for piece in self._spellings[1:] if len(piece) == 1}

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> "SubwordTokenizer":
        """The `size` subwords that fit `texts` best.

        Raises:
            BadOption: `size` does not suit the texts (the message has SentencePiece's reason).
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
                num_threads=1,  # more threads sum in another order: other pieces each time
                minloglevel=2,
            )
        except RuntimeError as error:
            raise BadOption(
                f"units.size {size} does not suit these texts: {str(error).splitlines()[-1]}"
            ) from error
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
        return " ".join(spelled.replace(_SPACE, " ").split())

    def unknown(self, text: str) -> set[str]:
        return set(text.replace(" ", "")) - self._characters

    def word_spans(self, units: Sequence[int]) -> list[tuple[str, int, int]]:
        starts = [
            index
            for index, unit in enumerate(units)
            if index == 0 or self._spellings[unit].startswith(_SPACE)
        ]
        spans = [
            (self.decode(units[first:end]), first, end)
            for first, end in pairwise([*starts, len(units)])
        ]
        return [span for span in spans if span[0]]  # a lone word-start sign spells nothing

    def state(self) -> dict[str, Any]:
        return {"kind": "sentencepiece", "model": base64.b64encode(self.model).decode("ascii")}


def tokenizer_from_state(state: dict[str, Any]) -> Tokenizer:
    """The tokenizer whose `state()` this is."""
    if state["kind"] == "characters":
        return CharacterTokenizer(state["alphabet"])
    if state["kind"] == "sentencepiece":
        return SubwordTokenizer(base64.b64decode(state["model"]))
    raise BadData(f"units of kind {state['kind']!r} are not known here; update earshot.")


def _listed(characters: set[str]) -> str:
    return ", ".join(repr(char) for char in sorted(characters))
