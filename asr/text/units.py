"""The units of a model, as in configs and as in bundles."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from asr.counting import counted
from asr.errors import BadData, BadOption
from asr.text.normalise import is_read_aloud
from asr.text.phones import ENGLISH_PHONES, PhoneTokenizer
from asr.text.tokenizers import ENGLISH, CharacterTokenizer, SubwordTokenizer, Tokenizer

FROM_TEXTS = "from_texts"
"""The value of `alphabet` that stands for the characters of the training texts."""


@dataclass(frozen=True)
class Units:
    """The units in which the model spells."""

    kind: Literal["characters", "sentencepiece", "phones"] = "characters"
    """`characters` of `alphabet`; `sentencepiece` subwords learnt from the training texts; or
    `phones`, two heads: one of characters, and one of phones for words that a lexicon has."""
    alphabet: str = ENGLISH
    """The characters that may occur, space included (for `characters` and `phones`); or
    `from_texts`: those of the training texts, but for digits and signs that are read aloud."""
    fewest: int = 1
    """With `from_texts`: characters that occur less often are left out, and so are their lines."""
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

        if self.fewest < 1 or (self.fewest > 1 and self.alphabet != FROM_TEXTS):
            raise BadOption(
                f"units.fewest {self.fewest} has no effect here: give 1 or more, with "
                "units.alphabet from_texts."
            )

    @property
    def reads_texts(self) -> bool:
        """Whether the alphabet is that of the training texts."""
        return self.kind != "sentencepiece" and self.alphabet == FROM_TEXTS

    @property
    def hint(self) -> str:
        """What to do where texts have other characters than the English ones of these units."""
        if self.kind == "sentencepiece" or self.alphabet != ENGLISH:
            return ""
        return (
            "these units are of English: for another language set data.language and "
            "data.units.alphabet from_texts"
        )

    def count(self) -> int:
        """Number of units, including the blank; known if texts need not be read for it."""
        return self.size if self.kind == "sentencepiece" else len(self.alphabet) + 1

    def count_phones(self) -> int:
        """Number of units of the phone head, including the blank; 0 if there is none."""
        return (
            PhoneTokenizer(self.phones or ENGLISH_PHONES).n_phones if self.kind == "phones" else 0
        )

    def tokenizer(self, texts: Iterable[str]) -> Tokenizer:
        """The tokenizer; subwords are learnt from `texts` (normalised), deterministically."""
        if self.reads_texts:
            return replace(self, alphabet=self.alphabet_of(texts)[0], fewest=1).tokenizer([])
        if self.kind == "phones":
            return self._with_phones()
        if self.kind == "characters":
            return CharacterTokenizer(self.alphabet)
        return SubwordTokenizer.learn(texts, self.size)

    def alphabet_of(self, texts: Iterable[str]) -> tuple[str, Mapping[str, int]]:
        """The alphabet `from_texts`, and how often each character occurs, the rarest first.

        Raises:
            BadOption: no character occurs often enough.
        """
        counts = Counter(char for text in texts for char in text if not is_read_aloud(char))
        counts.pop(" ", None)
        kept = sorted(char for char, count in counts.items() if count >= self.fewest)
        if not kept:
            raise BadOption(
                f"no character of the training texts occurs {counted(self.fewest, 'time')}: lower "
                "data.units.fewest, or check data.train."
            )
        return " " + "".join(kept), dict(reversed(counts.most_common()))

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
