"""What a beam search may spend, and how it weighs what it knows."""

from dataclasses import dataclass, fields

from asr.errors import BadOption

LIMITS = {
    "size": (1, 2_048),
    "lm_weight": (0.0, 10.0),
    "word_bonus": (-20.0, 20.0),
    "unknown_price": (0.0, 100.0),
    "prior_weight": (0.0, 2.0),
    "hotword_boost": (0.0, 20.0),
    "choices": (1, 65_536),
    "reach": (1.0, 10_000.0),
    "blank_skip": (0.5, 1.0),
}
"""What each setting may be, from and to."""
_WHOLE = ("size", "choices")


@dataclass(frozen=True)
class BeamSettings:
    """Prices and bonuses are natural logarithms, as log-probabilities are."""

    size: int = 16
    """Prefixes kept from frame to frame, 1 to 2,048."""
    lm_weight: float = 0.8
    """Factor on the language model's log-probabilities, 0 to 10."""
    word_bonus: float = 1.0
    """Added for every word; with a language model over units, for every unit."""
    unknown_price: float = 20.0
    """Taken for every word that the language model does not know, 0 to 100."""
    prior_weight: float = 0.0
    """How much of each unit's own commonness is taken out of its log-probabilities, 0 to 2; by the
    language model, so without effect where there is none."""
    hotword_boost: float = 1.0
    """Added for every letter of a hot word that is read whole, 0 to 20."""
    choices: int = 16
    """Most probable units of a frame that are tried, besides the blank."""
    reach: float = 10.0
    """How far below the best of a frame a unit is still tried."""
    blank_skip: float = 0.99
    """Frames whose blank is at least as probable extend no prefix; 1 reads every frame."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = LIMITS[field.name]
            numbers, kind = (int, "a whole number") if field.name in _WHOLE else (float, "a number")
            if isinstance(value, bool) or not isinstance(value, numbers | int):
                raise BadOption(f"{field.name} {value!r} is not {kind}; correct it.")
            if not low <= value <= high:
                raise BadOption(
                    f"{field.name} {value} is out of range; choose {low:g} to {high:g}."
                )
