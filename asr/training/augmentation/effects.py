"""Effects on whole batches, on the training device; random numbers are torch's.

Shapes: B batch, S samples, T feature frames, F mels, R samples of a room's response.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchaudio.functional import fftconvolve, mask_along_axis_iid, resample

from asr.audio import SAMPLE_RATE
from asr.errors import BadOption
from asr.model.lengths import mask_padding

QUIET = 1e-10
"""Power below which a clip or noise counts as silence."""


@dataclass(frozen=True)
class Speed:
    """Speed and pitch together, like a tape played faster (Ko et al., "Audio augmentation", 2015).

    One factor is drawn for a whole batch, so that clips of similar length stay similar.
    """

    factors: tuple[float, ...] = (0.9, 1.0, 1.1)
    """Factors to draw from, in whole hundredths; 1.1 is faster."""

    def __post_init__(self) -> None:
        fit = [0.5 <= factor <= 2.0 and round(factor, 2) == factor for factor in self.factors]
        if not fit or not all(fit):
            raise BadOption(
                f"speed.factors {self.factors} do not fit: give some from 0.5 to 2, in whole "
                "hundredths."
            )

    @property
    def slowest(self) -> float:
        """The lowest factor, which makes clips longest."""
        return min(self.factors)

    def draw(self) -> float:
        """A random factor."""
        return self.factors[int(torch.randint(len(self.factors), ()))]


def lengths_at(lengths: Tensor, factor: float) -> Tensor:
    """`(B,)` the lengths of clips, in samples, when played `factor` times as fast."""
    return (lengths * 100 + _hundredths(factor) - 1) // _hundredths(factor)


def at_speed(wave: Tensor, lengths: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """`(B, S)` -> `(B, S / factor)`: each clip played `factor` times as fast, and its length."""
    if factor == 1.0:
        return wave, lengths
    lengths = lengths_at(lengths, factor)
    played = resample(wave, _hundredths(factor), 100)
    return mask_padding(played, lengths), lengths


def _hundredths(factor: float) -> int:
    return round(factor * 100)


@dataclass(frozen=True)
class Reverb:
    """Simulated rooms: noise that decays exponentially after the direct sound.

    The model of Polack, as in Lebart et al., "A new method based on spectral subtraction for
    speech dereverberation" (2001), section 2. The clip keeps its length and its direct sound, so
    the times of words stay.
    """

    share: float = 0.2
    """Share of clips with reverberation."""
    decay: tuple[float, float] = (0.1, 0.6)
    """Seconds in which the echo falls by 60 dB, drawn uniformly between the two."""
    direct: tuple[float, float] = (0.0, 15.0)
    """Decibels from the direct sound to the echo, drawn uniformly between the two."""

    def __post_init__(self) -> None:
        check_share("reverb.share", self.share)
        check_range("reverb.decay", self.decay)
        check_range("reverb.direct", self.direct)
        if self.decay[0] <= 0:
            raise BadOption("reverb.decay does not fit: an echo takes more than 0 seconds.")

    def __call__(self, wave: Tensor, lengths: Tensor, always: bool = False) -> Tensor:
        """`(B, S)` with reverberation in some or all clips, each in a room of its own."""
        share = 1.0 if always else self.share
        chosen = (torch.rand(len(wave)) < share).nonzero().flatten().to(wave.device)
        if not len(chosen):
            return wave
        dry = wave[chosen]
        response = self._responses(len(chosen)).to(wave.device)  # (chosen, R)
        samples = dry.shape[1] + response.shape[1] - 1
        padded = F.pad(dry, (0, -samples % 4096))  # other lengths take up to ten times as long
        wet = fftconvolve(padded, response)[:, : dry.shape[1]]
        kept = power(dry, lengths[chosen]) / power(wet, lengths[chosen]).clamp_min(QUIET)
        wet = mask_padding(wet * kept.sqrt()[:, None], lengths[chosen])
        return wave.index_copy(0, chosen, wet)

    def _responses(self, rooms: int) -> Tensor:
        low, high = self.decay
        seconds = low + (high - low) * torch.rand(rooms, 1)  # (B, 1)
        time = torch.arange(int(high * SAMPLE_RATE)) / SAMPLE_RATE  # (R,)
        echo = torch.randn(rooms, len(time)) * 10.0 ** (-3.0 * time / seconds)
        echo[:, 0] = 0.0
        ratio = draw_ratio(*self.direct, rooms, 1)
        echo = echo / (echo.square().sum(1, keepdim=True) * ratio).sqrt()
        echo[:, 0] = 1.0
        return echo


@dataclass(frozen=True)
class Gain:
    """Each clip made louder or softer."""

    decibels: tuple[float, float] = (-12.0, 6.0)
    """Drawn uniformly between the two; samples beyond full scale are clipped."""

    def __post_init__(self) -> None:
        check_range("gain.decibels", self.decibels)

    def __call__(self, wave: Tensor) -> Tensor:
        factor = draw_ratio(*self.decibels, len(wave), 1).sqrt()
        return (wave * factor.to(wave.device)).clamp(-1.0, 1.0)


@dataclass(frozen=True)
class SpecAugment:
    """Park et al., "SpecAugment" (2019): sets bands and time spans of each clip to the mean.

    The number of time masks depends on a clip's length, so that short and long clips lose the same
    share of their frames: as many masks of `time_width` as make up `time_share` (adaptive
    multiplicity: Park et al., "SpecAugment on large scale datasets", 2020). Time is not warped.
    """

    frequency_masks: int = 2
    """Masks over mel bands, drawn anew for each clip."""
    frequency_width: int = 16
    """F of the paper, which a mask stays below: it covers 0 to F - 1 bands; 0 and 1 mask none."""
    time_share: float = 0.15
    """Largest share of a clip's frames that its time masks cover; on average they cover half of
    that. 0 for none."""
    time_width: int = 40
    """Largest width of a time mask in feature frames of 10 ms."""

    def __post_init__(self) -> None:
        check_share("masks.time_share", self.time_share)
        if min(self.frequency_masks, self.frequency_width) < 0:
            raise BadOption(
                f"masks cannot have frequency_masks {self.frequency_masks} and frequency_width "
                f"{self.frequency_width}: give none below 0."
            )
        if self.time_width < 1:
            raise BadOption(
                f"masks.time_width {self.time_width} does not fit: give at least 1 frame; "
                "time_share 0 masks no time."
            )

    def __call__(self, features: Tensor, lengths: Tensor) -> Tensor:
        """`(B, T, F)` -> `(B, T, F)`, masked with 0, the mean of normalised features.

        Args:
            lengths: `(B,)` int64, in frames.
        """
        stretches = self._stretches(lengths, features.shape[1])  # (B, T)
        x = features.masked_fill(stretches[..., None], 0.0).unsqueeze(1)  # (B, 1, T, F)
        for _ in range(self.frequency_masks):
            x = mask_along_axis_iid(x, self.frequency_width, 0.0, axis=3)
        return x.squeeze(1)

    def _stretches(self, lengths: Tensor, frames: int) -> Tensor:
        """`(B, T)` bool: the frames that each clip's time masks cover. K: most masks of a clip."""
        covered = (self.time_share * lengths).long()  # (B,) frames at most
        masks = -(-covered // self.time_width)  # (B,)
        width = (covered // masks.clamp_min(1))[:, None]  # (B, 1)
        most = math.ceil(self.time_share * frames / self.time_width)
        size, place = torch.rand(2, len(lengths), most, device=lengths.device)  # (B, K) each
        drawn = torch.arange(most, device=lengths.device) < masks[:, None]
        sizes = (size * (width + 1)).long() * drawn
        firsts = (place * (lengths[:, None] - sizes + 1)).long()
        time = torch.arange(frames, device=lengths.device)
        within: Tensor = (time >= firsts[..., None]) & (time < (firsts + sizes)[..., None])
        return within.any(1)  # (B, K, T) -> (B, T)


def power(wave: Tensor, lengths: Tensor) -> Tensor:
    """Mean square of each clip over its length, `(B,)`."""
    return wave.square().sum(1) / lengths.clamp_min(1)


def draw_ratio(low: float, high: float, *shape: int) -> Tensor:
    """Random ratios of power, uniform in decibels between the two."""
    return 10.0 ** ((low + (high - low) * torch.rand(*shape)) / 10.0)


def check_share(name: str, share: float) -> None:
    """BadOption unless a share is from 0 to 1."""
    if not 0.0 <= share <= 1.0:
        raise BadOption(f"{name} {share} does not fit: give a share from 0 to 1.")


def check_range(name: str, values: tuple[float, float]) -> None:
    """BadOption if a range starts after its end."""
    if values[0] > values[1]:
        raise BadOption(f"{name} {values} does not fit: give the lower end first.")
