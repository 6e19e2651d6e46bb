"""Augmentation: the effects on training clips, in order.

They work on a whole batch, on the training device, inside the training step. Random numbers come
from torch's generators, which each step seeds (`asr.training.schedule`). Development audio is never
augmented.

Shapes: B batch, S samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from asr.training.augmentation.effects import Gain, Reverb, SpecAugment, Speed, at_speed, lengths_at
from asr.training.augmentation.noise import Noise, NoiseBank


@dataclass(frozen=True)
class Augment:
    """How training clips are changed; an effect that is left out is off."""

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
    """The first epoch, counted from 0, with augmentation."""

    def waves(
        self,
        wave: Tensor,
        lengths: Tensor,
        bank: NoiseBank | None,
        fits: Callable[[Tensor], bool],
        always: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The augmented batch `(B, S)` and its lengths.

        Args:
            bank: the noise, if `noise` is set.
            fits: whether every text of the batch can be spelled in clips of such lengths; if a
                drawn speed leaves no room for one, the batch keeps its own speed.
            always: add reverberation and noise to every clip, whatever their shares.
        """
        # Samples stay in float32: in half precision, resampling adds hiss 50 dB below the speech.
        with torch.autocast(wave.device.type, enabled=False):
            if self.speed is not None:
                factor = self.speed.draw()
                if fits(lengths_at(lengths, factor)):
                    wave, lengths = at_speed(wave, lengths, factor)
            if self.reverb is not None:
                wave = self.reverb(wave, lengths, always)
            if bank is not None:
                wave = bank.mix(wave, lengths, always)
            if self.gain is not None:
                wave = self.gain(wave)
        return wave, lengths
