"""Convolutional subsampling: fewer frames before the recurrent layers.

Shapes: B batch, T feature frames, U output frames, F mels, C channels, D output width.
"""

import torch
from torch import Tensor, nn

from asr.model.config import ModelConfig, strided
from asr.model.lengths import mask_padding


class Subsampling(nn.Module):
    """Two 3x3 convolutions, each followed by a mask, then one linear layer: `(B, T, F)` ->
    `(B, U, D)`.

    Each convolution leaves every second band, and of the frames as its stride says: U = T / 4,
    rounded up twice, if both strides are 2. Masked frames are zeros, like the zeros with which a
    convolution pads a single utterance (guarantee 1).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels, mels = config.channels, strided(strided(config.features.mels, 2), 2)
        first, second = config.strides
        self.first = nn.Conv2d(1, channels, kernel_size=3, stride=(first, 2), padding=1)
        self.second = nn.Conv2d(channels, channels, kernel_size=3, stride=(second, 2), padding=1)
        self.project = nn.Linear(channels * mels, config.width)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = x.unsqueeze(1)  # (B, T, F) -> (B, 1, T, F)
        for convolution in (self.first, self.second):
            x = torch.relu(convolution(x))  # (B, C, T / stride, F / 2)
            lengths = strided(lengths, int(convolution.stride[0]))
            x = mask_padding(x.transpose(1, 2), lengths).transpose(1, 2)
        x = x.transpose(1, 2).flatten(2)  # (B, C, U, F / 4) -> (B, U, C * F / 4)
        return self.project(x), lengths
