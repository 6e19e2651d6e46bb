"""What a study's runs say: one number for each question, and which textbook claims they bear out.

Numbers are compared seed by seed, since the same seed draws the same clips for every encoder.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asr.study.config import MemoryStudy, Variant
from asr.study.memory import Record
from asr.study.speech import FRAME_SECONDS

GRADIENT_GONE = -2.0
"""log10: a gradient has vanished where it is below a hundredth of its value at distance 0."""
NOTHING_MOVED = 0.01
"""A masked stretch changes nothing where it moves less than this much probability."""
# Student's t, two-sided 95 %, by degrees of freedom.
_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


def first_below(curve: Sequence[float], level: float) -> float:
    """The distance in frames at which a curve falls below a level; its end if it never does."""
    below = np.flatnonzero(np.asarray(curve) < level)
    return float(below[0]) if len(below) else float(len(curve))


@dataclass(frozen=True)
class Measure:
    """A number of a run."""

    heading: str
    """In a table; `{far}` stands for the seconds that are far back."""
    number: Callable[[Record], float]
    """nan where a cell has none."""
    scale: float = 1.0
    """By which a table multiplies it."""
    decimals: int = 2
    unit: str = ""
    """Of a difference between two encoders; without it they are compared by their ratio."""
    task: str = "speech"


def far(study: MemoryStudy) -> int:
    """The distance in frames that is called far back: a third of what is measured."""
    return study.distance // 3


def _reach(when: str) -> Callable[[Record], float]:
    return lambda run: first_below(run[when]["gradients"]["input"], GRADIENT_GONE)


def _far_back(when: str) -> Callable[[Record], float]:
    def number(run: Record) -> float:
        curve: list[float] = run[when]["gradients"]["input"]
        return curve[(len(curve) - 1) // 3]

    return number


def _last(name: str) -> Callable[[Record], float]:
    return lambda run: float(run["points"][-1][name])


_TENS = "powers of ten"
MEASURES: Mapping[str, Measure] = {
    "loss": Measure("loss, nats a unit", _last("loss"), 1.0, 3, "nats a unit"),
    "cer": Measure("CER, %", _last("cer"), 100.0, 1, "%"),
    "wer": Measure("WER, %", _last("wer"), 100.0, 1, "%"),
    "reach before": Measure("gradient > 1 % before training, s", _reach("before"), FRAME_SECONDS),
    "reach after": Measure("gradient > 1 % after, s", _reach("after"), FRAME_SECONDS),
    "far before": Measure("log10 of it {far} s back before", _far_back("before"), 1.0, 1, _TENS),
    "far after": Measure("log10 of it {far} s back after", _far_back("after"), 1.0, 1, _TENS),
    "masked": Measure(
        "a mask changes, s",
        lambda run: first_below(run["after"]["moved"][1:], NOTHING_MOVED),
        FRAME_SECONDS,
    ),
    "half-life": Measure(
        "half-life of the median cell, s",
        lambda run: float(np.median(run["after"]["half_lives"] or [math.nan])),
        decimals=3,
    ),
    "longest": Measure(
        "of the longest, s",
        lambda run: max(run["after"]["half_lives"], default=math.nan),
        decimals=1,
    ),
    "lag": Measure("lag copied, steps", lambda run: float(run["lags"][-1]), 1.0, 0, task="copy"),
}


@dataclass(frozen=True)
class Interval:
    """A mean over seeds, and where it lies with 95 % confidence; nan to nan for one seed."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        """Of one value for each seed, by Student's t."""
        mean, count = float(np.mean(values)), len(values)
        if count < 2:
            return cls(mean, math.nan, math.nan)
        t = _T[count - 2] if count - 2 < len(_T) else 1.96 + 2.4 / (count - 1)
        half = t * float(np.std(values, ddof=1)) / math.sqrt(count)
        return cls(mean, mean - half, mean + half)

    @property
    def half(self) -> float:
        """Half its width."""
        return (self.high - self.low) / 2


class Findings:
    """The numbers of a study's runs."""

    def __init__(self, study: MemoryStudy, records: Sequence[Record]) -> None:
        self.study = study
        self.records = records

    def runs(self, task: str, variant: Variant) -> list[Record]:
        """The runs of an encoder, one for each seed in order."""
        return [
            record
            for record in self.records
            if record["task"] == task and record["variant"] == variant.name
        ]

    def values(self, measure: str, variant: Variant) -> list[float]:
        """The number of each seed."""
        kind = MEASURES[measure]
        return [kind.number(run) for run in self.runs(kind.task, variant)]

    def interval(self, measure: str, variant: Variant) -> Interval:
        """Over seeds."""
        return Interval.of(self.values(measure, variant))

    def against(self, claim: "Claim") -> Interval:
        """How `one` differs from `other`, seed by seed; a ratio's mean is geometric."""
        mine = np.array(self.values(claim.measure, claim.one))
        theirs = np.array(self.values(claim.other_measure or claim.measure, claim.other))
        if not claim.is_ratio:
            return Interval.of((mine - theirs).tolist())
        logs = Interval.of(np.log(np.maximum(mine, 0.5) / np.maximum(theirs, 0.5)).tolist())
        return Interval(*(math.exp(end) for end in (logs.mean, logs.low, logs.high)))


@dataclass(frozen=True)
class Claim:
    """What textbooks say of two encoders: `one` has more (or less) of something than `other`."""

    text: str
    source: str
    measure: str
    one: Variant
    other: Variant
    less: bool = False
    """Whether `one` has less."""
    other_measure: str = ""
    """Of `other`, if it is another one."""

    @property
    def is_ratio(self) -> bool:
        """Whether the two are compared by their ratio."""
        return not MEASURES[self.measure].unit


@dataclass(frozen=True)
class Verdict:
    """A claim and what the figures say of it."""

    claim: Claim
    found: Interval

    @property
    def verdict(self) -> str:
        """`borne out`, `contradicted`, or `not decided` where the interval spans no difference."""
        even = 1.0 if self.claim.is_ratio else 0.0
        if math.isnan(self.found.low) or self.found.low <= even <= self.found.high:
            return "not decided"
        return "borne out" if (self.found.mean < even) == self.claim.less else "contradicted"

    @property
    def amount(self) -> str:
        """By how much, with its interval."""
        unit = MEASURES[self.claim.measure].unit
        sign, form = ("× ", ".2f") if self.claim.is_ratio else ("", "+.3f")
        ends = (self.found.mean, self.found.low, self.found.high)
        mean, low, high = (f"{end:{form}}" for end in ends)
        return f"{sign}{mean} ({low} to {high}) {unit}".rstrip()


_BENGIO = "Hochreiter, 1991; Bengio, Simard & Frasconi, 1994"
_LSTM = "Hochreiter & Schmidhuber, 1997"
_CHO = "Cho et al., 2014; Chung et al., 2014"
_BIAS = "Gers, Schmidhuber & Cummins, 2000; Jozefowicz et al., 2015"
_BOTH = "Schuster & Paliwal, 1997; Graves & Schmidhuber, 2005"


def claims(study: MemoryStudy) -> Iterator[Claim]:
    """The textbook's claims on which a study of these encoders has something to say."""
    known = {variant.name for variant in study.variants()}
    for claim in _claims():
        if {claim.one.name, claim.other.name} <= known:
            yield claim


def _claims() -> Iterator[Claim]:
    rnn, gru = Variant("rnn", 1), Variant("gru", 1)
    lstm, half_open = Variant("lstm", 1, 1.0), Variant("lstm", 1, 0.0)
    both, rnn_both = Variant("lstm", 2, 1.0), Variant("rnn", 2)
    near = "gradients stay above 1 % for longer"
    distant = "the gradient far back is larger"
    for text, source, measure, one, other in (
        (f"Before training, {near} in an LSTM than in a vanilla RNN",
         _LSTM, "reach before", lstm, rnn),
        (f"Before training, {near} with a forget bias of 1 than of 0",
         _BIAS, "reach before", lstm, half_open),
        (f"After training, {near} in an LSTM than in a vanilla RNN",
         _BENGIO, "reach after", lstm, rnn),
        (f"After training, {near} in a GRU than in a vanilla RNN",
         _CHO, "reach after", gru, rnn),
        (f"After training, {near} with a forget bias of 1 than of 0",
         _BIAS, "reach after", lstm, half_open),
        (f"After training, {distant} in an LSTM than in a vanilla RNN",
         _BENGIO, "far after", lstm, rnn),
        (f"After training, {distant} in a GRU than in a vanilla RNN",
         _CHO, "far after", gru, rnn),
        (f"After training, {distant} with a forget bias of 1 than of 0",
         _BIAS, "far after", lstm, half_open),
        ("What an LSTM has read changes its output for longer than in a vanilla RNN",
         _LSTM, "masked", lstm, rnn),
        ("An LSTM copies over a longer lag than a vanilla RNN", _LSTM, "lag", lstm, rnn),
        ("A GRU copies over a longer lag than a vanilla RNN", _CHO, "lag", gru, rnn),
        ("An LSTM copies over a longer lag with a forget bias of 1 than of 0",
         _BIAS, "lag", lstm, half_open),
    ):  # fmt: skip
        yield Claim(text, source, measure, one, other)
    for text, cell, measure in (
        (f"Training makes an LSTM's {near}", lstm, "reach"),
        ("Training makes an LSTM's gradient far back larger", lstm, "far"),
        ("Training makes a GRU's gradient far back larger", gru, "far"),
        ("Training makes a vanilla RNN's gradient far back smaller", rnn, "far"),
    ):
        source = {"rnn": _BENGIO, "gru": _CHO, "lstm": _LSTM}[cell.cell]
        after, before = f"{measure} after", f"{measure} before"
        yield Claim(text, source, after, cell, cell, cell is rnn, before)
    for text, source, one, other in (
        ("An LSTM learns the speech better than a vanilla RNN of its size", _LSTM, lstm, rnn),
        ("So it does where both read in two directions", _BOTH, both, rnn_both),
        ("A GRU learns the speech better than a vanilla RNN of its size", _CHO, gru, rnn),
        ("An LSTM learns the speech better with a forget bias of 1 than of 0",
         _BIAS, lstm, half_open),
        ("Two directions learn the speech better than one of the same size", _BOTH, both, lstm),
    ):  # fmt: skip
        yield Claim(text, source, "loss", one, other, less=True)


def verdicts(findings: Findings) -> list[Verdict]:
    """What the figures say of each claim."""
    return [Verdict(claim, findings.against(claim)) for claim in claims(findings.study)]
