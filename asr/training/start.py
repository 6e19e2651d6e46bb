"""Weights that training starts from, and which of them may change at first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asr.bundle import Bundle, Checkpoint
from asr.corpus import SpeechDataset
from asr.errors import BadOption
from asr.model import AcousticModel, ModelConfig
from asr.text import Tokenizer

_STATISTICS_CLIPS = 400  # about half an hour of speech: band means settle within 0.02


@dataclass(frozen=True)
class Freeze:
    """The front of the network held still at first, while a new head learns from it."""

    layers: int = 2
    """Recurrent layers, from the first, that are held beside the subsampling."""
    epochs: int = 1
    """Epochs for which they are."""

    def __post_init__(self) -> None:
        if self.layers < 0 or self.epochs < 1:
            raise BadOption(
                f"freeze cannot have {self.layers} layers and {self.epochs} epochs: give no "
                "negative layers and at least one epoch, or leave model.freeze out."
            )

    def held(self, network: AcousticModel) -> Iterator[nn.Parameter]:
        """The weights that are held still."""
        recurrent = network.recurrent
        if self.layers > len(recurrent.layers):
            raise BadOption(
                f"freeze.layers {self.layers} is more than the {len(recurrent.layers)} recurrent "
                "layers of the network: lower it."
            )
        parts = (recurrent.layers[: self.layers], recurrent.norms[: self.layers])
        for part in (network.subsampling, *parts):
            yield from part.parameters()


@dataclass(frozen=True)
class Start:
    """A trained model: the folder of a bundle, or a checkpoint of `asr fit`."""

    path: Path
    model: AcousticModel
    tokenizer: Tokenizer
    training: dict[str, Any]
    """How long it was trained, as its checkpoint or its bundle says."""

    @classmethod
    def read(cls, path: Path) -> "Start":
        """The model in `path`; BadBundle where it is missing, damaged or foreign."""
        if path.is_dir():
            bundle = Bundle.open(path)
            return cls(path, bundle.acoustic_model(), bundle.tokenizer, bundle.info["training"])
        checkpoint = Checkpoint.read(path)
        return cls(path, checkpoint.model, checkpoint.tokenizer, checkpoint.training)

    def load_into(self, network: AcousticModel, tokenizer: Tokenizer) -> None:
        """Give `network`, which spells with `tokenizer`, these weights.

        Where the units differ, its head keeps its own, but for characters that both spell.

        Raises:
            BadOption: the layers differ.
        """
        same_layers(self.path, self.model.config, network.config)
        weights = self.model.state_dict()
        if tokenizer.state() != self.tokenizer.state():
            weights |= self._head(network, tokenizer)
        network.load_state_dict(weights)

    @torch.no_grad()
    def _head(self, network: AcousticModel, tokenizer: Tokenizer) -> dict[str, torch.Tensor]:
        head = {name: weight.clone() for name, weight in network.head.state_dict().items()}
        old, new = (units.state().get("alphabet", "") for units in (self.tokenizer, tokenizer))
        kept = [(0, 0)]  # blanks stay blanks
        kept += [(old.index(char) + 1, new.index(char) + 1) for char in new if char in old]
        for name, weight in self.model.head.state_dict().items():
            for from_row, to_row in kept:
                head[name][to_row] = weight[from_row]
        return {f"head.{name}": weight for name, weight in head.items()}


def same_layers(path: Path, trained: ModelConfig, given: ModelConfig) -> None:
    """BadOption where `path` was trained with other layers than the config gives."""
    # Dropout has no weights: it may change from one part of a run to the next.
    trained = replace(trained, dropout=given.dropout)
    if trained == given:
        return
    ours, theirs = given.to_dict(), trained.to_dict()
    ours |= {f"features.{key}": value for key, value in ours.pop("features").items()}
    theirs |= {f"features.{key}": value for key, value in theirs.pop("features").items()}
    wrong = [f"{key}={theirs[key]} (not {ours[key]})" for key in ours if ours[key] != theirs[key]]
    raise BadOption(
        f"{path} was trained with model.network {', '.join(wrong)}: give the layers that it was "
        "trained with, or start a new run without it."
    )


@torch.no_grad()
def measure_features(network: AcousticModel, clips: SpeechDataset, device: torch.device) -> None:
    """Set the mean and deviation of each mel band of a new network from a sample of the clips."""
    step = -(-len(clips) // _STATISTICS_CLIPS)
    features = network.features
    energies = torch.cat(
        [
            features.energies(clips[index].wave[None].to(device))[0]
            for index in range(0, len(clips), step)
        ]
    )  # (T of all, F)
    features.mean.copy_(energies.mean(0))
    features.deviation.copy_(energies.std(0).clamp_min(1e-3))
