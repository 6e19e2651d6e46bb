"""Augmentation: what training hears beside what was recorded.

All of it works on a whole batch on the device that trains, inside the training step, and draws
from torch's generators, which each step seeds (see `CtcTraining`). Development audio never passes
through here.

Shapes: B batch, S samples, T feature frames, F mels, R samples of a room's response.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torchaudio.functional import fftconvolve, mask_along_axis_iid, resample

from asr.audio import SAMPLE_RATE, load
from asr.corpus import read_manifest
from asr.errors import BadData, BadOption
from asr.model.lengths import mask_padding

_QUIET = 1e-10  # power below which a clip or a noise counts as silence


@dataclass(frozen=True)
class Speed:
    """Speed and pitch together, as a tape played faster (Ko et al., "Audio augmentation", 2015).

    One factor is drawn for a whole batch, so that clips of like length stay so.
    """

    factors: tuple[float, ...] = (0.9, 1.0, 1.1)
    """Factors to draw from; 1.1 is faster."""

    def __post_init__(self) -> None:
        if not self.factors or not all(0.5 <= factor <= 2.0 for factor in self.factors):
            raise BadOption(f"speed factors {self.factors} do not fit: give some from 0.5 to 2.")

    def draw(self) -> float:
        """One of the factors."""
        return self.factors[int(torch.randint(len(self.factors), ()))]


def lengths_at(lengths: Tensor, factor: float) -> Tensor:
    """Samples of clips of so many samples, once played `factor` times as fast."""
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
class Noise:
    """Recorded noise mixed into clips."""

    manifest: str = "noise.jsonl"
    """JSON lines with `audio`, relative to the corpus folder."""
    without: str = ""
    """Ids that end so are left out, for tests."""
    share: float = 0.3
    """Share of clips that get noise."""
    snr: tuple[float, float] = (5.0, 25.0)
    """Decibels from speech to noise, drawn evenly between the two."""

    def __post_init__(self) -> None:
        _check_share("noise", self.share)
        _check_range("noise.snr", self.snr)


class NoiseBank:
    """The noise clips of a manifest, decoded and held in memory (230 MB an hour).

    Raises:
        BadData: the manifest is missing, or a clip of it cannot be used.
    """

    def __init__(self, settings: Noise, root: Path) -> None:
        path = root / settings.manifest
        utterances, findings = read_manifest(path, texts=False)
        if findings:
            raise BadData(f"{path}:{findings[0].line}: {findings[0].reason}; mend the line.")
        if settings.without:
            utterances = [u for u in utterances if not u.id.endswith(settings.without)]
        with ThreadPoolExecutor() as pool:  # decoders let go of the GIL
            clips = list(pool.map(lambda utterance: load(utterance.audio).samples, utterances))
        self._settings = settings
        self._clips = [torch.from_numpy(clip) for clip in clips if len(clip)]
        if not self._clips:
            raise BadData(f"{path}: no noise is left to mix in; correct model.augment.noise.")

    def mix(self, wave: Tensor, lengths: Tensor) -> Tensor:
        """`(B, S)` with noise in some clips, at a drawn ratio over each clip's length."""
        batch, samples = wave.shape
        chosen = torch.rand(batch) < self._settings.share
        noise = torch.zeros(batch, samples)
        for row in chosen.nonzero().flatten().tolist():
            noise[row] = self._piece(samples)
        noise = mask_padding(noise.to(wave.device), lengths)
        low, high = self._settings.snr
        ratio = 10.0 ** ((low + (high - low) * torch.rand(batch)) / 10.0)
        speech, loudness = _power(wave, lengths), _power(noise, lengths)
        heard = (loudness > _QUIET) & (speech > _QUIET)
        scale = (speech / (loudness.clamp_min(_QUIET) * ratio.to(wave.device))).sqrt()  # (B,)
        return wave + noise * (scale * heard)[:, None]

    def _piece(self, samples: int) -> Tensor:
        """`(S,)` from a drawn place of a drawn clip, which goes round if it is too short."""
        clip = self._clips[int(torch.randint(len(self._clips), ()))]
        first = int(torch.randint(len(clip), ()))
        return clip.roll(-first).repeat(-(-samples // len(clip)))[:samples]


@dataclass(frozen=True)
class Reverb:
    """Simulated rooms: an echo of noise that dies away exponentially behind the direct sound.

    The model of Polack, as in Lebart et al., "A new method based on spectral subtraction for
    speech dereverberation" (2001), section 2. The clip keeps its length, and its direct sound its
    place, so that words stay where they were.
    """

    share: float = 0.2
    """Share of clips that are moved into a room."""
    decay: tuple[float, float] = (0.1, 0.6)
    """Seconds in which the echo falls by 60 dB, drawn evenly between the two."""
    direct: tuple[float, float] = (0.0, 15.0)
    """Decibels from the direct sound to the echo, drawn evenly between the two."""

    def __post_init__(self) -> None:
        _check_share("reverb", self.share)
        _check_range("reverb.decay", self.decay)
        _check_range("reverb.direct", self.direct)
        if self.decay[0] <= 0:
            raise BadOption("reverb.decay does not fit: an echo takes more than 0 seconds.")

    def __call__(self, wave: Tensor, lengths: Tensor) -> Tensor:
        """`(B, S)` with some clips in a room of their own."""
        chosen = (torch.rand(len(wave)) < self.share).nonzero().flatten().to(wave.device)
        if not len(chosen):
            return wave
        dry = wave[chosen]
        response = self._responses(len(chosen)).to(wave.device)  # (chosen, R)
        wet = fftconvolve(dry, response)[:, : dry.shape[1]]
        kept = _power(dry, lengths[chosen]) / _power(wet, lengths[chosen]).clamp_min(_QUIET)
        wet = mask_padding(wet * kept.sqrt()[:, None], lengths[chosen])
        return wave.index_copy(0, chosen, wet)

    def _responses(self, rooms: int) -> Tensor:
        low, high = self.decay
        seconds = low + (high - low) * torch.rand(rooms, 1)  # (B, 1)
        time = torch.arange(int(high * SAMPLE_RATE)) / SAMPLE_RATE  # (R,)
        echo = torch.randn(rooms, len(time)) * 10.0 ** (-3.0 * time / seconds)
        echo[:, 0] = 0.0
        low, high = self.direct
        ratio = 10.0 ** ((low + (high - low) * torch.rand(rooms, 1)) / 10.0)
        echo = echo / (echo.square().sum(1, keepdim=True) * ratio).sqrt()
        echo[:, 0] = 1.0
        return echo


@dataclass(frozen=True)
class Gain:
    """Each clip made louder or softer."""

    decibels: tuple[float, float] = (-12.0, 6.0)
    """Drawn evenly between the two; what would pass full scale is clipped, as a recorder does."""

    def __post_init__(self) -> None:
        _check_range("gain.decibels", self.decibels)

    def __call__(self, wave: Tensor) -> Tensor:
        low, high = self.decibels
        factor = 10.0 ** ((low + (high - low) * torch.rand(len(wave), 1)) / 20.0)
        return (wave * factor.to(wave.device)).clamp(-1.0, 1.0)


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

    def __call__(self, features: Tensor) -> Tensor:
        """`(B, T, F)` -> `(B, T, F)`, masked with 0, the mean of normalised features."""
        x = features.unsqueeze(1)  # (B, T, F) -> (B, 1, T, F)
        for _ in range(self.time_masks):
            x = mask_along_axis_iid(x, self.time_width, 0.0, axis=2, p=self.time_share)
        for _ in range(self.frequency_masks):
            x = mask_along_axis_iid(x, self.frequency_width, 0.0, axis=3)
        return x.squeeze(1)


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


def _power(wave: Tensor, lengths: Tensor) -> Tensor:
    """Mean square of each clip over its length, `(B,)`."""
    return wave.square().sum(1) / lengths.clamp_min(1)


def _check_share(name: str, share: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise BadOption(f"{name}.share {share} does not fit: give a share from 0 to 1.")


def _check_range(name: str, values: tuple[float, float]) -> None:
    if values[0] > values[1]:
        raise BadOption(f"{name} {values} does not fit: give the lower end first.")
