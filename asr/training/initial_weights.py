"""Initial weights of training, and which of them are frozen at first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asr.bundle import Bundle
from asr.corpus.dataset import SpeechDataset
from asr.errors import BadData, BadOption
from asr.model import AcousticModel, ModelConfig
from asr.model.features import LogMel
from asr.text import DEFAULT_LANGUAGE, Tokenizer
from asr.training.checkpoint import Checkpoint

_CONDITIONING, _PHONE_HEAD = "recurrent.conditioning.", "phone_head."
_STATISTICS_CLIPS = 400  # about half an hour of speech: band means settle within 0.02


@dataclass(frozen=True)
class Freeze:
    """The first layers of the network, frozen at first while a new head is trained."""

    layers: int = 2
    """Recurrent layers that are frozen besides the subsampling, counted from the first."""
    epochs: int = 1
    """Epochs for which they are frozen."""

    def __post_init__(self) -> None:
        if self.layers < 0 or self.epochs < 1:
            raise BadOption(
                f"freeze cannot have {self.layers} layers and {self.epochs} epochs: give no "
                "negative layers and at least one epoch, or leave model.freeze out."
            )

    def held(self, network: AcousticModel) -> Iterator[nn.Parameter]:
        """The weights that are frozen."""
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
class InitialWeights:
    """A trained model: the folder of a bundle, or a checkpoint of `asr fit`."""

    path: Path
    model: AcousticModel
    tokenizer: Tokenizer
    training: dict[str, Any]
    """How long it was trained, as its checkpoint or its bundle says."""
    language: str = DEFAULT_LANGUAGE
    """The code of its language."""

    @classmethod
    def read(cls, path: Path) -> "InitialWeights":
        """The model in `path`; BadBundle if it is missing, damaged or foreign."""
        if path.is_dir():
            bundle = Bundle.open(path)
            training = bundle.info.training.to_dict()
            return cls(
                path, bundle.acoustic_model(), bundle.tokenizer, training, bundle.info.language
            )
        checkpoint = Checkpoint.read(path)
        return cls(
            path,
            checkpoint.model,
            checkpoint.tokenizer,
            checkpoint.training,
            checkpoint.language,
        )

    def load_into(self, network: AcousticModel, tokenizer: Tokenizer) -> None:
        """Copies these weights into `network`, which spells with `tokenizer`.

        If the units differ, the heads keep their own weights, except for characters in both. So
        do self-conditioning and layers for letters alone that the trained model lacks.

        Raises:
            BadOption: the layers differ.
        """
        self.check_layers(network.config)
        fresh = network.state_dict()
        weights = fresh | self.model.state_dict()
        if tokenizer.state() != self.tokenizer.state():
            own = [name for name in fresh if name.startswith((_CONDITIONING, _PHONE_HEAD))]
            weights = {k: w for k, w in weights.items() if not k.startswith(_PHONE_HEAD)}
            weights |= {name: fresh[name] for name in own} | self._head(network, tokenizer)
        network.load_state_dict(weights)

    def check_layers(self, config: ModelConfig) -> None:
        """BadOption if a network of `config` cannot take these weights.

        It may gain self-conditioning, which has no effect at first, and layers for letters above
        those that it has, which the phones' head then reads; and read other frames: strides have no
        weights.
        """
        trained = replace(self.model.config, subsampling=config.subsampling)
        if config.phone_layer == trained.layers and not trained.phone_layer:
            trained = replace(trained, layers=config.layers, phone_layer=config.phone_layer)
        gained = trained.self_conditioning or config.self_conditioning
        same_layers(self.path, replace(trained, self_conditioning=gained), config)

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
    """BadOption if `path` was trained with other layers than the config has."""
    # What has no weights, or only gave the first ones, may change when a run is resumed.
    trained = replace(trained, dropout=given.dropout, forget_bias=given.forget_bias)
    if trained == given:
        return
    wanted, actual = given.to_dict(), trained.to_dict()
    wanted |= {f"features.{key}": value for key, value in wanted.pop("features").items()}
    actual |= {f"features.{key}": value for key, value in actual.pop("features").items()}
    keys = [key for key in wanted if wanted[key] != actual[key]]
    wrong = [f"{key}={actual[key]} (not {wanted[key]})" for key in keys]
    raise BadOption(
        f"{path} was trained with model.network {', '.join(wrong)}: give the layers that it was "
        "trained with, or start a new run without it."
    )


@torch.no_grad()
def measure_features(network: AcousticModel, clips: SpeechDataset, device: torch.device) -> None:
    """Sets the mean and deviation of each mel band of a new network, from a sample of the clips.

    Raises:
        BadData: a clip's features are not finite.
    """
    step = -(-len(clips) // _STATISTICS_CLIPS)
    features = network.features
    measured: list[torch.Tensor] = []
    for index in range(0, len(clips), step):
        clip = clips[index]
        energies = features.energies(clip.wave[None].to(device))[0]  # (T, F)
        if not energies.isfinite().all():
            raise BadData(
                f"{clip.utterance.audio} (line {clip.utterance.line} of its manifest) has samples "
                "that no sound has, and would spoil the statistics of all features: write it "
                "anew, or leave its line out."
            )
        measured.append(energies)
    together = torch.cat(measured)  # (T of all, F)
    features.mean.copy_(together.mean(0))
    features.deviation.copy_(together.std(0).clamp_min(1e-3))


def check_statistics(features: LogMel) -> None:
    """BadData if the mean or deviation of a mel band is not finite."""
    if not (features.mean.isfinite().all() and features.deviation.isfinite().all()):
        raise BadData(
            "the statistics of the features are not finite, so every clip would be read as noise: "
            "a recording with samples that no sound has went into them. Start from another model, "
            "or measure them anew in a new run."
        )
