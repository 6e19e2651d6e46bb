"""How to transcribe: every option of decoders and of what is read, its limits and help, said once.

The command line, the service's request fields and the checks are made from the fields of these
dataclasses, by `described`. Nothing heavy is imported here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, NamedTuple, TypedDict

from asr.errors import BadOption

MIX, SPLIT = "mix", "split"
_MOST_CHANNELS = 64
DECODERS = ("greedy", "beam")
"""Every decoder by the name that users call it."""
_NEUTRAL: Mapping[str, Any] = {"hotwords": (), "nbest": 1}
"""Values with which options of the beam search may be given to another decoder."""


class Described(NamedTuple):
    """What people and programs should know of an option."""

    kind: type
    default: Any
    low: float | None
    high: float | None
    help: str


def option(default: Any, help: str, low: float | None = None, high: float | None = None) -> Any:
    """A field of a dataclass of options, with its help and limits."""
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True)
class Weights:
    """What a beam search weighs: natural logarithms, as log-probabilities are."""

    lm_weight: float = option(
        0.8, "Factor on the language model's log-probabilities; 0 leaves it out.", 0, 10
    )
    word_bonus: float = option(
        1.0, "Added for every word; with a language model over units, for every unit.", -20, 20
    )
    unknown_price: float = option(
        20.0, "Taken for every word that the language model does not know.", 0, 100
    )
    prior_weight: float = option(
        0.0,
        "Share of each unit's prior that is taken out of its log-probabilities; without effect "
        "where there is no language model.",
        0,
        2,
    )
    hotword_boost: float = option(
        1.0, "Added for every letter of a hot word that is recognised whole.", 0, 20
    )

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(frozen=True, kw_only=True)
class BeamSettings(Weights):
    """What a beam search may spend, and how it weighs what it knows."""

    size: int = option(16, "Prefixes that the beam keeps from frame to frame.", 1, 2_048)
    choices: int = option(
        16, "Most probable units of a frame that are tried, besides the blank.", 1, 65_536
    )
    reach: float = option(
        8.0, "How far below the best unit of a frame a unit is still tried.", 1, 10_000
    )
    blank_skip: float = option(
        0.99,
        "Frames whose blank is at least as probable extend no prefix; 1 reads every frame.",
        0.5,
        1,
    )
    width: float = option(
        12.0,
        "How far below the best hypothesis of a beam one is still followed; at the highest value "
        "none is dropped before the beam is full.",
        1,
        10_000,
    )


LIMITS: Mapping[str, tuple[float, float]] = {
    setting.name: (setting.metadata["low"], setting.metadata["high"])
    for setting in fields(BeamSettings)
}
"""The lowest and the highest value of each setting."""
DIGITS = ("always", "never")
"""Whether numbers are written in digits."""
_ANY_DECODER = frozenset({"decoder", "written", "digits"})
LM_OPTIONS = ("lm_weight", "word_bonus", "unknown_price", "prior_weight")
"""Options without effect where there is no language model."""
_SIZE = next(setting for setting in fields(BeamSettings) if setting.name == "size")


class OptionValues(TypedDict, total=False):
    """The fields of `Options` for type checkers, as keywords of a call."""

    decoder: str
    beam_size: int
    lm_weight: float
    word_bonus: float
    unknown_price: float
    prior_weight: float
    hotwords: Sequence[str]
    hotword_boost: float
    nbest: int
    written: bool
    digits: str


NAMES = tuple(OptionValues.__annotations__)
"""Every option, in the order in which people are told of them."""


@dataclass(frozen=True, kw_only=True)
class Options(Weights):
    """How to transcribe: what a bundle sets, and what travels with each call."""

    decoder: str = option(
        "greedy",
        "`greedy` takes the most probable unit of each frame; `beam` searches with the language "
        "model and hot words.",
    )
    beam_size: int = option(_SIZE.default, **_SIZE.metadata)
    hotwords: tuple[str, ...] = option((), "Words or phrases that become likelier, in any case.")
    nbest: int = option(
        1, "Hypotheses that are returned, at most as many as the beam keeps; there may be fewer.", 1
    )
    written: bool = option(
        False, "Marks, capitals and digits, as people write; else plain words in lower case."
    )
    digits: str = option(
        "always", "Whether written text has numbers in digits: `always`, or `never`, for words."
    )

    def __post_init__(self) -> None:
        if self.decoder not in list(DECODERS):
            raise BadOption(
                f"decoder {self.decoder!r} is not known; choose from {', '.join(DECODERS)}."
            )
        if self.digits not in DIGITS:
            raise BadOption(
                f"digits {self.digits!r} is not known; choose from {', '.join(DIGITS)}."
            )
        super().__post_init__()
        if self.nbest > self.beam_size:
            raise BadOption(
                f"nbest {self.nbest} is out of range; choose 1 to {self.beam_size} (the beam's "
                "size)."
            )
        words = self.hotwords
        if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
            raise BadOption(f"hotwords {words!r} are not a list of words; correct them.")
        object.__setattr__(self, "hotwords", tuple(words))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Options":
        """The options with these values; raises BadOption for a name that is none of them."""
        for name in values:
            if name not in NAMES:
                raise BadOption(f"option {name!r} is not known; choose from {', '.join(NAMES)}.")
        return cls(**values)

    def given(self, values: Mapping[str, Any]) -> "Options":
        """These options with some values replaced, as a request asks.

        Raises:
            BadOption: a name is unknown, a value cannot be, or it would have no effect, as the
                decoder `greedy` weighs nothing.
        """
        chosen = Options.of({**self.values(), **values})
        if chosen.decoder == "greedy":
            for name in values.keys() - _ANY_DECODER:
                if name not in _NEUTRAL or getattr(chosen, name) != _NEUTRAL[name]:
                    raise BadOption(
                        f"{name} has no effect with the decoder greedy; choose the decoder beam."
                    )
        return chosen

    def values(self) -> dict[str, Any]:
        """Every option by its name."""
        return {name: getattr(self, name) for name in NAMES}

    def beam_settings(self) -> BeamSettings:
        """The settings of the beam search with these options."""
        weights = {weight.name: getattr(self, weight.name) for weight in fields(Weights)}
        return BeamSettings(size=self.beam_size, **weights)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which sound of a source is read: by default the mean of all channels, from start to end.

    Raises:
        BadOption: a value cannot be.
    """

    track: int | None = option(
        None, "Audio track of films, from 1; else the one marked as the default."
    )
    channels: str = option(
        MIX,
        "mix reads the mean of all channels, split each by itself, in one transcript, and a number "
        "that channel alone, from 1.",
    )
    start: float = option(0.0, "Seconds that are skipped; times count from the start anyway.", 0)
    duration: float = option(math.inf, "The most seconds that are read.", 0.001)

    def __post_init__(self) -> None:
        check_values(self)
        if math.isinf(self.start):
            raise BadOption(f"start {self.start} is out of range; choose a number of seconds.")
        track = self.track
        whole = isinstance(track, Integral) and not isinstance(track, bool)
        if track is not None and not (whole and track >= 1):
            raise BadOption(f"track {track!r} is no whole number from 1: correct it.")
        if self.channels not in (MIX, SPLIT) and self.channel is None:
            raise BadOption(
                f"channels {self.channels!r} are not known: choose mix, split, or the number of a "
                f"channel, 1 to {_MOST_CHANNELS}."
            )

    @property
    def channel(self) -> int | None:
        """The only channel that is read, from 1."""
        number = str(self.channels)
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= _MOST_CHANNELS):
            return None
        return int(number)

    @property
    def is_split(self) -> bool:
        """Whether channels are read each by itself."""
        return self.channels == SPLIT


SELECTION = tuple(one.name for one in fields(Selection))
"""Every option of what is read."""


def check_channels(options: Options, selection: Selection) -> None:
    """BadOption where several readings are asked for of channels that are read each by itself."""
    if selection.is_split and options.nbest > 1:
        raise BadOption("nbest has no meaning where channels are split; leave one of them out.")


def described(name: str, of: type = Options) -> Described:
    """The option with that name in a dataclass of options: its type, default, limits and help."""
    (found,) = (option for option in fields(of) if option.name == name)
    low, high, help = (found.metadata[key] for key in ("low", "high", "help"))
    kind = type(found.default) if isinstance(found.default, bool | int | float | str) else list
    return Described(kind, found.default, low, high, help)


def check_values(settings: Any) -> None:
    """Checks a dataclass of options: BadOption for a number outside its limits, or for what is
    neither true nor false where it should be."""
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if setting.metadata["low"] is not None:
            _check_number(setting, value)
        elif isinstance(setting.default, bool) and not isinstance(value, bool):
            raise BadOption(f"{setting.name} {value!r} is neither true nor false; correct it.")


def _check_number(setting: "Field[Any]", value: Any) -> None:
    whole = isinstance(setting.default, int)
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        kind = "a whole number" if whole else "a number"
        raise BadOption(f"{setting.name} {value!r} is not {kind}; correct it.")
    low, high = setting.metadata["low"], setting.metadata["high"]
    if not low <= value <= (value if high is None else high):
        limits = f"{low:g} to {high:g}" if high is not None else f"{low:g} or more"
        raise BadOption(f"{setting.name} {value} is out of range; choose {limits}.")
