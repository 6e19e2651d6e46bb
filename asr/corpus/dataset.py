"""Utterances as tensors.

Shapes: B batch, S samples, N units, P phones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from asr.corpus.manifest import Utterance
from asr.corpus.survey import Samples
from asr.text import Pronouncer


@dataclass(frozen=True)
class Example:
    """One utterance, ready to be batched."""

    utterance: Utterance
    wave: Tensor
    """`(S,)` float32."""
    units: Tensor
    """`(N,)` int64, without blanks."""
    phones: Tensor | None = None
    """`(P,)` int64, without blanks, if the model has a phone head."""
    synthetic: bool = False
    """Whether the speech is synthetic."""


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
    phones: Tensor | None = None
    """`(B, P)` int64."""
    phone_lengths: Tensor | None = None
    """`(B,)` int64."""
    synthetic: bool = False
    """Whether the speech is synthetic."""

    @property
    def lowest(self) -> tuple[Tensor, Tensor]:
        """The phones and their lengths if there are some, else the units and their lengths."""
        if self.phones is None or self.phone_lengths is None:
            return self.units, self.unit_lengths
        return self.phones, self.phone_lengths

    def to(self, device: torch.device) -> "Batch":
        """The batch with its tensors on `device`."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)


class SpeechDataset(Dataset[Example]):
    """The examples of a manifest; a pure function of the index.

    Args:
        encode: spells a normalised text in units.
        pronounce: spells it in phones, for models with a phone head.
        synthetic: whether the speech is synthetic.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        samples: Samples,
        encode: Callable[[str], list[int]],
        pronounce: Pronouncer | None = None,
        synthetic: bool = False,
    ) -> None:
        self._utterances = utterances
        self._samples = samples
        self._encode = encode
        self._pronounce = pronounce
        self._synthetic = synthetic

    def __len__(self) -> int:
        return len(self._utterances)

    def __getitem__(self, index: int) -> Example:
        utterance = self._utterances[index]
        return Example(
            utterance,
            torch.from_numpy(self._samples(index)),
            torch.tensor(self._encode(utterance.text), dtype=torch.int64),
            self._phones(utterance),
            self._synthetic,
        )

    def _phones(self, utterance: Utterance) -> Tensor | None:
        if self._pronounce is None:
            return None
        units = self._pronounce(utterance.text, utterance.phones)
        return torch.tensor(units, dtype=torch.int64)


def collate(examples: Sequence[Example]) -> Batch:
    """The batch of these examples."""
    waves = [example.wave for example in examples]
    units = [example.units for example in examples]
    phones = [example.phones for example in examples if example.phones is not None]
    return Batch(
        wave=pad_sequence(waves, batch_first=True),
        wave_lengths=_lengths(waves),
        units=pad_sequence(units, batch_first=True),
        unit_lengths=_lengths(units),
        utterances=tuple(example.utterance for example in examples),
        phones=pad_sequence(phones, batch_first=True) if phones else None,
        phone_lengths=_lengths(phones) if phones else None,
        synthetic=all(example.synthetic for example in examples),
    )


def _lengths(sequences: Sequence[Tensor]) -> Tensor:
    return torch.tensor([len(sequence) for sequence in sequences])
