"""Augmentation: what training hears beside what was recorded.

All of it works on a whole batch on the device that trains, inside the training step, and draws
from torch's generators, which each step seeds (see `CtcTraining`). Development audio never passes
through here.

Shapes: B batch, S samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from asr.training.effects import Gain, Reverb, SpecAugment, Speed, at_speed, lengths_at
from asr.training.noise import Noise, NoiseBank

__all__ = ["Augment", "Gain", "Noise", "NoiseBank", "Reverb", "SpecAugment", "Speed"]


@dataclass(frozen=True)
class Augment:
    """What training does to its clips; each part is off where it is left out."""

    speed: Speed | None = None
    """Faster and slower."""
    reverb: Reverb | None = None
    """Simulated rooms."""
    noise: Noise | None = None
    """Recorded noise."""
    gain: Gain | None = None
    """Louder and softer."""
    masks: SpecAugment | None = None
    """SpecAugment over the features."""
    first_epoch: int = 0
    """The epoch, counted from 0, from which on all of this is done."""

    def waves(
        self, wave: Tensor, lengths: Tensor, bank: NoiseBank | None, fits: Callable[[Tensor], bool]
    ) -> tuple[Tensor, Tensor]:
        """`(B, S)` and lengths as training hears them.

        Args:
            bank: the noise, where `noise` is set.
            fits: whether every text of the batch can be spelled in clips of such lengths; where
                a drawn speed leaves no room for one, the batch keeps its own speed.
        """
        # Samples keep float32: in half precision, resampling would add hiss 50 dB below the speech.
        with torch.autocast(wave.device.type, enabled=False):
            if self.speed is not None:
                factor = self.speed.draw()
                if fits(lengths_at(lengths, factor)):
                    wave, lengths = at_speed(wave, lengths, factor)
            if self.reverb is not None:
                wave = self.reverb(wave, lengths)
            if bank is not None:
                wave = bank.mix(wave, lengths)
            if self.gain is not None:
                wave = self.gain(wave)
        return wave, lengths
