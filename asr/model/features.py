"""Log-mel features from raw samples.

Shapes: B batch, S samples, T feature frames, F mels, N points of the Fourier transform.
"""

import math

import torch
from torch import Tensor, nn

from asr.model.config import FeatureConfig
from asr.model.lengths import mask_padding
from asr.sampling import SAMPLE_RATE

FLOOR = 1e-6
"""Added to mel energies before the logarithm: 10 to 21 dB above 16-bit rounding noise, by band."""

_CACHED = 128  # frames at a time


def mel_filters(mels: int, points: int) -> Tensor:
    """Triangular filters `(points // 2 + 1, mels)`, equally spaced on the HTK mel scale."""
    low, high = 20.0, SAMPLE_RATE / 2
    edges_mel = torch.linspace(_mel(low), _mel(high), mels + 2, dtype=torch.float64)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)  # Hz
    bins = torch.linspace(0.0, SAMPLE_RATE / 2, points // 2 + 1, dtype=torch.float64)
    distance = edges[None, :] - bins[:, None]  # (points // 2 + 1, mels + 2)
    width = edges.diff()
    rising = -distance[:, :-2] / width[:-1]
    falling = distance[:, 2:] / width[1:]
    return torch.minimum(rising, falling).clamp_min(0.0).float()


def _mel(hz: float) -> float:
    return 2595.0 * math.log10(1.0 + hz / 700.0)


class LogMel(nn.Module):
    """`(wave, wave_lengths)` -> `(features, lengths)`: `(B, S)` -> `(B, T, F)`.

    No sample outside an utterance enters its frames: incomplete windows are left out, so
    T = (S - window) // hop + 1, and nothing depends on padding.
    """

    mean: Tensor
    deviation: Tensor
    filters: Tensor
    window: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        filters = mel_filters(config.mels, config.points)
        window = torch.hann_window(config.window, periodic=False)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("mean", torch.zeros(config.mels))
        self.register_buffer("deviation", torch.ones(config.mels))

    def energies(self, wave: Tensor) -> Tensor:
        """Log-mel energies `(B, T, F)` before normalisation; in float32 also under autocast."""
        config = self.config
        with torch.autocast(wave.device.type, enabled=False):
            # A batch shorter than one window still has one (masked) frame.
            shortage = max(0, config.window - wave.shape[1])
            wave = nn.functional.pad(wave.float(), (0, shortage))
            frames = wave.unfold(1, config.window, config.hop)  # (B, T, window)
            # In blocks on a CPU, so that intermediate results stay in its cache.
            piece = _CACHED if wave.device.type == "cpu" else frames.shape[1]
            pieces = torch.split(frames, piece, dim=1)
            return torch.cat([self._log_mel(part) for part in pieces], dim=1)

    def _log_mel(self, frames: Tensor) -> Tensor:
        """`(B, T, window)` -> `(B, T, F)`."""
        # In float64: in float32 rounding errors of loud bands exceed quiet ones, and torch and ONNX
        # would round differently.
        spectrum = torch.fft.rfft(frames.double() * self.window.double(), n=self.config.points)
        power = spectrum.real.square() + spectrum.imag.square()  # (B, T, N // 2 + 1)
        return torch.log(power.float() @ self.filters + FLOOR)

    def forward(self, wave: Tensor, wave_lengths: Tensor) -> tuple[Tensor, Tensor]:
        lengths = self.config.frames(wave_lengths)
        energies = self.energies(wave)
        if self.config.normalize == "corpus":
            features = (energies - self.mean) / self.deviation
        else:
            features = _normalize_each(energies, lengths)
        return mask_padding(features, lengths), lengths


def _normalize_each(energies: Tensor, lengths: Tensor) -> Tensor:
    """Normalises each band of each utterance to mean 0 and deviation 1 over its valid frames."""
    count = lengths.clamp_min(1).view(-1, 1, 1)
    mean = mask_padding(energies, lengths).sum(1, keepdim=True) / count  # (B, 1, F)
    centred = mask_padding(energies - mean, lengths)
    variance = centred.square().sum(1, keepdim=True) / count
    # The floor keeps a steady tone or digital silence from being amplified.
    return centred / variance.add(1e-2).sqrt()
