"""How to transcribe: what a bundle sets, and what travels with each call."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from asr.decoding import DECODERS, LIMITS, BeamSettings
from asr.errors import BadOption

_DEFAULT = BeamSettings()
_NEUTRAL: Mapping[str, Any] = {"hotwords": (), "nbest": 1}
"""What options of the beam search may be where there is none."""


@dataclass(frozen=True)
class Options:
    """How to transcribe; prices, bonuses and weights as in `asr.decoding.BeamSettings`."""

    decoder: str = "greedy"
    """`greedy`, the best unit of each frame, or `beam`, which weighs what is known of language."""
    beam_size: int = _DEFAULT.size
    """Prefixes that the beam keeps from frame to frame, 1 to 2,048."""
    lm_weight: float = _DEFAULT.lm_weight
    """Factor on the language model's log-probabilities, 0 to 10."""
    word_bonus: float = _DEFAULT.word_bonus
    """Added for every word, -20 to 20."""
    unknown_price: float = _DEFAULT.unknown_price
    """Taken for every word that the language model does not know, 0 to 100."""
    prior_weight: float = _DEFAULT.prior_weight
    """How much of each unit's own commonness is taken out of its log-probabilities, 0 to 2."""
    hotwords: tuple[str, ...] = ()
    """Words or phrases that become likelier, in any writing."""
    hotword_boost: float = _DEFAULT.hotword_boost
    """Natural logs added for every letter of a hot word that is read whole, 0 to 20."""
    nbest: int = 1
    """Readings wanted, at most `beam_size`; there may be fewer."""

    def __post_init__(self) -> None:
        if self.decoder not in list(DECODERS):
            raise BadOption(
                f"decoder {self.decoder!r} is not known; choose from {', '.join(DECODERS)}."
            )
        for name, most in (("beam_size", LIMITS["size"][1]), ("nbest", self.beam_size)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise BadOption(f"{name} {value!r} is not a whole number; correct it.")
            if not 1 <= value <= most:
                limit = " (the beam's size)" if name == "nbest" else ""
                raise BadOption(f"{name} {value} is out of range; choose 1 to {most}{limit}.")
        words = self.hotwords
        if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
            raise BadOption(f"hotwords {words!r} are not a list of words; correct them.")
        object.__setattr__(self, "hotwords", tuple(words))
        self.beam_settings()  # refuses the numbers that cannot be

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Options":
        """The options with these values; raises BadOption for a name that is none of them."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise BadOption(f"option {name!r} is not known; choose from {', '.join(known)}.")
        return cls(**values)

    def given(self, values: Mapping[str, Any]) -> "Options":
        """These options with some values replaced, as a request asks.

        Raises:
            BadOption: a name is unknown, a value cannot be, or it would have no effect, as the
                decoder `greedy` weighs nothing.
        """
        chosen = Options.of({**self.values(), **values})
        if chosen.decoder == "greedy":
            for name in values.keys() - {"decoder"}:
                if name not in _NEUTRAL or getattr(chosen, name) != _NEUTRAL[name]:
                    raise BadOption(
                        f"{name} has no effect with the decoder greedy; choose the decoder beam."
                    )
        return chosen

    def values(self) -> dict[str, Any]:
        """Every option by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def beam_settings(self) -> BeamSettings:
        """What the beam search takes of these."""
        return replace(
            _DEFAULT,
            size=self.beam_size,
            lm_weight=self.lm_weight,
            word_bonus=self.word_bonus,
            unknown_price=self.unknown_price,
            prior_weight=self.prior_weight,
            hotword_boost=self.hotword_boost,
        )
