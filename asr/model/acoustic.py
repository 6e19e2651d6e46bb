"""The acoustic model: raw samples -> log-probabilities of units, frame by frame.

Read it from the top: features, subsampling, recurrent layers, head.
Shapes: B batch, S samples, T feature frames, U output frames, F mels, H hidden, V units.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from asr.errors import BadOption
from asr.model.features import SAMPLE_RATE, FeatureConfig, LogMel
from asr.model.recurrent import Cell, RecurrentStack
from asr.model.subsampling import FACTOR, Subsampling, subsampled


@dataclass(frozen=True)
class ModelConfig:
    """The layers of an acoustic model."""

    features: FeatureConfig = field(default_factory=FeatureConfig)
    """The log-mel front end."""
    channels: int = 32
    """Channels of the two subsampling convolutions."""
    cell: Cell = "lstm"
    """Kind of recurrent cell: lstm, gru, or the vanilla rnn."""
    layers: int = 4
    """Number of bidirectional layers."""
    hidden: int = 256
    """Units of each direction; a multiple of 128 lets cuDNN use its fastest kernels."""
    dropout: float = 0.1
    """Share of outputs dropped behind each recurrent layer while training."""

    def __post_init__(self) -> None:
        if min(self.channels, self.layers, self.hidden) < 1 or not 0 <= self.dropout < 1:
            raise BadOption(
                f"a model cannot have {self.channels} channels, {self.layers} layers of "
                f"{self.hidden} units and dropout {self.dropout}: give sizes of at least 1 and a "
                "dropout from 0 to below 1."
            )

    @property
    def frame_samples(self) -> int:
        """Samples from one output frame to the next."""
        return FACTOR * self.features.hop

    @property
    def frame_seconds(self) -> float:
        """Seconds from one output frame to the next."""
        return self.frame_samples / SAMPLE_RATE

    def frames(self, samples: Any) -> Any:
        """Output frames of recordings of so many samples: exact, for integers of any kind."""
        return subsampled(self.features.frames(samples))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and bundles."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """The config whose `to_dict()` this is; raises TypeError on unknown keys."""
        return cls(**{**values, "features": FeatureConfig(**values["features"])})


class AcousticModel(nn.Module):
    """`(wave, wave_lengths)` -> `(log_probs, lengths)`: `(B, S)` float -> `(B, U, V)` float32.

    The model's output for an utterance depends on that utterance alone, whatever else is in the
    batch. Frames behind an utterance's length hold no meaning.
    """

    def __init__(self, config: ModelConfig, n_units: int) -> None:
        super().__init__()
        self.config = config
        self.features = LogMel(config.features)
        self.subsampling = Subsampling(config.features.mels, config.channels, 2 * config.hidden)
        self.recurrent = RecurrentStack(
            2 * config.hidden, config.hidden, config.layers, config.cell, config.dropout
        )
        self.head = nn.Linear(2 * config.hidden, n_units)

    def states(self, features: Tensor, lengths: Tensor) -> tuple[Iterator[Tensor], Tensor]:
        """`(B, T, F)` features -> what each recurrent layer gives, `(B, U, 2 H)`, and lengths."""
        x, lengths = self.subsampling(features, lengths)  # (B, U, 2 H)
        return self.recurrent.states(x, lengths), lengths

    def encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, T, F)` features -> `(B, U, V)` log-probabilities."""
        x, lengths = self.subsampling(features, lengths)  # (B, U, 2 H)
        x, lengths = self.recurrent(x, lengths)  # (B, U, 2 H)
        return spell(self.head, x), lengths

    def forward(self, wave: Tensor, wave_lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode(*self.features(wave, wave_lengths))


def spell(head: nn.Linear, states: Tensor) -> Tensor:
    """`(B, U, 2 H)` -> `(B, U, V)` float32 log-probabilities of a head's units."""
    logits = head(states).float()  # CTC sums many small terms: never in half
    return torch.log_softmax(logits, dim=-1)
