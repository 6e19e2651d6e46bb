"""Lengths and masks, which keep padding out of an utterance.

Shapes: B batch, T frames.
"""

import torch
from torch import Tensor


def valid_frames(lengths: Tensor, frames: int) -> Tensor:
    """`(B, frames)` bool: true where the frame belongs to the utterance."""
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


def mask_padding(x: Tensor, lengths: Tensor) -> Tensor:
    """`x` `(B, T, ...)` with zeros after each length, also in place of NaN."""
    valid = valid_frames(lengths, x.shape[1])
    return x.masked_fill(~valid.view(*valid.shape, *[1] * (x.dim() - 2)), 0.0)


def flip_by_length(x: Tensor, lengths: Tensor) -> Tensor:
    """`x` `(B, T, H)` with the frames of each utterance reversed; padding stays at the end."""
    steps = torch.arange(x.shape[1], device=x.device)  # (T,)
    mirrored = lengths[:, None] - 1 - steps  # (B, T)
    index = torch.where(mirrored >= 0, mirrored, steps)
    return x.gather(1, index[:, :, None].expand_as(x))
