"""What a study of memory compares, on which speech, for how long."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from asr.errors import BadOption
from asr.model.config import Cell
from asr.training.optimizer import OptimizerConfig

_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Variant:
    """One kind of encoder."""

    cell: Cell
    directions: Literal[1, 2]
    forget_bias: float = 1.0

    @property
    def name(self) -> str:
        """As in `LSTM bias 0, one-way`."""
        bias = f" bias {self.forget_bias:g}" if self.cell == "lstm" else ""
        return f"{self.cell.upper()}{bias}, {'one' if self.directions == 1 else 'two'}-way"


@dataclass(frozen=True)
class Speech:
    """The speech of a study, in the letters a to z."""

    root: str | None = None
    """The corpus folder; without it, the variable EARSHOT_DATA."""
    train: str = "train.jsonl"
    """Manifest to train on, relative to `root`."""
    dev: str = "dev.jsonl"
    """Manifest of other speakers for loss and error rates, and for the probes of memory."""
    clips: int = 1000
    """Clips to train on: those that are short enough, or as many of them, drawn evenly."""
    dev_clips: int = 40
    """Clips for loss and error rates, of the same length."""
    probes: int = 3
    """Long clips of `dev` in which memory is measured: the shortest that are long enough."""
    longest_seconds: float = 4.0
    """Longest clip to train on."""


@dataclass(frozen=True)
class Network:
    """What all encoders have in common."""

    parameters: int = 60_000
    """Weights of the whole network; the hidden units of each kind are chosen to fit."""
    layers: int = 1
    """Recurrent layers; memory is measured in the last one."""
    mels: int = 40
    """Mel bands."""
    channels: int = 8
    """Channels of the two subsampling convolutions."""


@dataclass(frozen=True)
class Training:
    """How each encoder is trained."""

    steps: int = 2_000
    """Optimizer steps."""
    measurements: int = 4
    """How often loss and error rates are measured, evenly over the steps."""
    batch_seconds: float = 10.0
    """Padded seconds of a batch."""
    learning_rate: float = 5e-3
    """The peak of AdamW's learning rate."""

    @property
    def optimizer(self) -> OptimizerConfig:
        """As in `asr fit`, with a rate that falls along half a cosine."""
        return OptimizerConfig(learning_rate=self.learning_rate)


@dataclass(frozen=True)
class Copying:
    """The copy task: symbols, a lag without any, and cues at which the symbols are said again."""

    updates: int = 500
    """Optimizer steps of each cell; the lag grows whenever nearly all symbols are right."""
    parameters: int = 6_000
    """Weights of the cell and its output layer."""
    symbols: int = 4
    """Different symbols."""
    length: int = 2
    """Symbols to remember."""
    longest: int = 300
    """The lag at which the task is done."""


@dataclass(frozen=True)
class MemoryStudy:
    """Which encoders are compared, on what."""

    cells: tuple[Cell, ...] = ("rnn", "gru", "lstm")
    """Kinds of cells."""
    directions: tuple[Literal[1, 2], ...] = (1, 2)
    """One-way, two-way, or both."""
    forget_biases: tuple[float, ...] = (0.0, 1.0)
    """What the forget gates of LSTMs start with."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Seeds of weights and of the order of clips; intervals are over them, so two at least."""
    distance: int = 300
    """Frames of 40 ms back to which memory is measured."""
    speech: Speech = field(default_factory=Speech)
    """The speech."""
    network: Network = field(default_factory=Network)
    """The encoders."""
    training: Training = field(default_factory=Training)
    """Their training."""
    copying: Copying = field(default_factory=Copying)
    """The copy task."""

    def __post_init__(self) -> None:
        given = (self.cells, self.directions, self.seeds, self.forget_biases)
        if any(len(set(values)) != len(values) or not values for values in given):
            raise BadOption("cells, directions, seeds and forget_biases need values, each once.")
        if len(self.seeds) < 2:
            raise BadOption("a study needs two seeds or more: its intervals are over them.")
        if not all(0 <= seed <= _LARGEST_SEED for seed in self.seeds):
            raise BadOption(f"a seed of a study is a number from 0 to {_LARGEST_SEED}.")
        sizes = [self.distance, *_numbers(self.speech), *_numbers(self.network)]
        if min([*sizes, *_numbers(self.training), *_numbers(self.copying)]) <= 0:
            raise BadOption("a study cannot have sizes, steps, rates or seconds of 0 or below.")

    def variants(self) -> Iterator[Variant]:
        """Every kind of encoder that is compared."""
        for directions in self.directions:
            yield from self._cells(directions)

    def copiers(self) -> Iterator[Variant]:
        """Every cell that copies: one-way."""
        yield from self._cells(1)

    def _cells(self, directions: Literal[1, 2]) -> Iterator[Variant]:
        for cell in self.cells:
            for bias in self.forget_biases if cell == "lstm" else (1.0,):
                yield Variant(cell, directions, bias)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def _numbers(part: Any) -> list[float]:
    return [value for value in asdict(part).values() if isinstance(value, int | float)]
