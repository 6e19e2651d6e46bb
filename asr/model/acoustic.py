"""The acoustic model: raw samples -> log-probabilities of units, frame by frame.

In order: features, subsampling, recurrent layers, heads.
Shapes: B batch, S samples, T feature frames, U output frames, F mels, D width of the layers, V
units of all heads.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from asr.errors import BadOption
from asr.model.config import ModelConfig
from asr.model.features import LogMel
from asr.model.recurrent import RecurrentStack
from asr.model.subsampling import Subsampling


class AcousticModel(nn.Module):
    """`(wave, wave_lengths)` -> `(log_probs, lengths)`: `(B, S)` float -> `(B, U, V)` float32.

    The output for an utterance depends on that utterance alone, not on the rest of the batch.
    Frames after an utterance's length have no meaning.

    Args:
        n_units: units of the head for letters or subwords, including the blank.
        n_phones: units of a second head for phones, including the blank; 0 for none. Its
            log-probabilities follow those of the first head; each head is normalised by itself.

    Raises:
        BadOption: the config has a layer for phones, and there are none.
    """

    def __init__(self, config: ModelConfig, n_units: int, n_phones: int = 0) -> None:
        super().__init__()
        if config.phone_layer and not n_phones:
            raise BadOption(
                f"phone_layer {config.phone_layer} has no effect on units without phones: leave it "
                "out, or train with data.units {kind: phones}."
            )
        self.config = config
        self.features = LogMel(config.features)
        self.subsampling = Subsampling(config)
        self.recurrent = RecurrentStack(config, n_phones or n_units)  # phones are nearer to sound
        self.head = nn.Linear(config.width, n_units)
        self.phone_head = nn.Linear(config.width, n_phones) if n_phones else None

    @property
    def heads(self) -> list[tuple[int, nn.Linear]]:
        """The heads in the order of their columns, each with the layer that it reads."""
        layers = self.config.layers
        heads = [(layers, self.head)]
        if self.phone_head is not None:
            heads.append((self.config.phone_layer or layers, self.phone_head))
        return heads

    def states(self, features: Tensor, lengths: Tensor) -> tuple[Iterator[Tensor], Tensor]:
        """`(B, T, F)` features -> outputs of the recurrent layers, `(B, U, D)`, and lengths."""
        x, lengths = self.subsampling(features, lengths)  # (B, U, D)
        return self.recurrent.states(x, lengths), lengths

    def encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, T, F)` features -> `(B, U, V)` log-probabilities."""
        states, lengths = self.states(features, lengths)
        return torch.cat(self.spelled(states), dim=-1), lengths

    def spelled(self, states: Iterable[Tensor]) -> list[Tensor]:
        """Outputs of the layers in order, `(B, U, D)` -> what each head spells, `(B, U, V)`."""
        read = {layer for layer, _ in self.heads}
        kept = {layer: state for layer, state in enumerate(states, start=1) if layer in read}
        return [spell(head, kept[layer]) for layer, head in self.heads]

    def forward(self, wave: Tensor, wave_lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode(*self.features(wave, wave_lengths))


def spell(head: nn.Linear, states: Tensor) -> Tensor:
    """`(B, U, D)` -> `(B, U, V)` float32 log-probabilities of a head's units."""
    logits = head(states).float()  # CTC sums many small terms: never in half precision
    return torch.log_softmax(logits, dim=-1)
