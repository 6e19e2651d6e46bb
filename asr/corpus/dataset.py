"""Utterances as tensors.

Shapes: B batch, S samples, N units.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from asr.corpus.manifest import Utterance
from asr.corpus.survey import Samples


@dataclass(frozen=True)
class Example:
    """One utterance, ready to be batched."""

    utterance: Utterance
    wave: Tensor
    """`(S,)` float32."""
    units: Tensor
    """`(N,)` int64, without blanks."""


@dataclass(frozen=True)
class Batch:
    """Utterances padded with zeros to the longest."""

    wave: Tensor
    """`(B, S)` float32."""
    wave_lengths: Tensor
    """`(B,)` int64, in samples."""
    units: Tensor
    """`(B, N)` int64."""
    unit_lengths: Tensor
    """`(B,)` int64."""
    utterances: tuple[Utterance, ...]

    def to(self, device: torch.device) -> "Batch":
        """The batch with its tensors on `device`."""
        return Batch(
            wave=self.wave.to(device, non_blocking=True),
            wave_lengths=self.wave_lengths.to(device, non_blocking=True),
            units=self.units.to(device, non_blocking=True),
            unit_lengths=self.unit_lengths.to(device, non_blocking=True),
            utterances=self.utterances,
        )


class SpeechDataset(Dataset[Example]):
    """The examples of a manifest; a pure function of the index.

    Args:
        encode: spells a normalised text in units.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        samples: Samples,
        encode: Callable[[str], list[int]],
    ) -> None:
        self._utterances = utterances
        self._samples = samples
        self._encode = encode

    def __len__(self) -> int:
        return len(self._utterances)

    def __getitem__(self, index: int) -> Example:
        utterance = self._utterances[index]
        return Example(
            utterance,
            torch.from_numpy(self._samples(index)),
            torch.tensor(self._encode(utterance.text), dtype=torch.int64),
        )


def collate(examples: Sequence[Example]) -> Batch:
    """The batch of these examples."""
    waves = [example.wave for example in examples]
    units = [example.units for example in examples]
    return Batch(
        wave=torch.nn.utils.rnn.pad_sequence(waves, batch_first=True),
        wave_lengths=torch.tensor([len(wave) for wave in waves]),
        units=torch.nn.utils.rnn.pad_sequence(units, batch_first=True),
        unit_lengths=torch.tensor([len(spelling) for spelling in units]),
        utterances=tuple(example.utterance for example in examples),
    )
