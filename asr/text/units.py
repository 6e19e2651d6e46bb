"""The units of a model, as in configs and as in bundles."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from asr.errors import BadData, BadOption
from asr.text.phones import ENGLISH_PHONES, PhoneTokenizer
from asr.text.tokenizers import ENGLISH, CharacterTokenizer, SubwordTokenizer, Tokenizer


@dataclass(frozen=True)
class Units:
    """The units in which the model spells."""

    kind: Literal["characters", "sentencepiece", "phones"] = "characters"
    """`characters` of `alphabet`; `sentencepiece` subwords learnt from the training texts; or
    `phones`, two heads: one of characters, and one of phones for words that a lexicon has."""
    alphabet: str = ENGLISH
    """The characters that may occur, space included (for `characters` and `phones`)."""
    size: int = 256
    """Number of subwords, blank included (for `sentencepiece`)."""
    phones: tuple[str, ...] = ()
    """The phones (for `phones`); empty for the 39 of English in ARPAbet."""

    def __post_init__(self) -> None:
        if self.kind != "phones" and self.phones:
            raise BadOption(
                f"units.phones has no effect with units.kind {self.kind}: leave it out, or set "
                "the kind to phones."
            )

    def count(self) -> int:
        """Number of units, including the blank; known without reading texts."""
        return self.size if self.kind == "sentencepiece" else len(self.alphabet) + 1

    def count_phones(self) -> int:
        """Number of units of the phone head, including the blank; 0 if there is none."""
        return self._with_phones().n_phones if self.kind == "phones" else 0

    def tokenizer(self, texts: Iterable[str]) -> Tokenizer:
        """The tokenizer; subwords are learnt from `texts` (normalised), deterministically."""
        if self.kind == "phones":
            return self._with_phones()
        if self.kind == "characters":
            return CharacterTokenizer(self.alphabet)
        return SubwordTokenizer.learn(texts, self.size)

    def _with_phones(self) -> PhoneTokenizer:
        return PhoneTokenizer(self.phones or ENGLISH_PHONES, self.alphabet)


def tokenizer_from_state(state: dict[str, Any]) -> Tokenizer:
    """The tokenizer that returned this `state()`."""
    if state["kind"] == "characters":
        return CharacterTokenizer(state["alphabet"])
    if state["kind"] == "phones":
        return PhoneTokenizer(state["phones"], state["alphabet"])
    if state["kind"] == "sentencepiece":
        return SubwordTokenizer(base64.b64decode(state["model"]))
    raise BadData(f"units of kind {state['kind']!r} are not known here; update earshot.")
