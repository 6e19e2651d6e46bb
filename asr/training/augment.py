"""SpecAugment: masks over the features while training.

Shapes: B batch, T feature frames, F mels.
"""

from dataclasses import dataclass

from torch import Tensor
from torchaudio.functional import mask_along_axis_iid


@dataclass(frozen=True)
class SpecAugment:
    """Park et al., "SpecAugment" (2019): bands and stretches of each utterance set to the mean."""

    frequency_masks: int = 2
    """Masks over mel bands, drawn anew for each utterance."""
    frequency_width: int = 16
    """Bands that a mask covers at most."""
    time_masks: int = 2
    """Masks over time."""
    time_width: int = 40
    """Feature frames (10 ms) that a mask covers at most."""
    time_share: float = 0.2
    """Share of the batch's length that a mask over time covers at most."""
    first_epoch: int = 0
    """The epoch, counted from 0, from which on masks are drawn."""

    def __call__(self, features: Tensor) -> Tensor:
        """`(B, T, F)` -> `(B, T, F)`, masked with 0, the mean of normalised features."""
        x = features.unsqueeze(1)  # (B, T, F) -> (B, 1, T, F)
        for _ in range(self.time_masks):
            x = mask_along_axis_iid(x, self.time_width, 0.0, axis=2, p=self.time_share)
        for _ in range(self.frequency_masks):
            x = mask_along_axis_iid(x, self.frequency_width, 0.0, axis=3)
        return x.squeeze(1)
