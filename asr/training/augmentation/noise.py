"""Recorded noise mixed into speech.

Shapes: B batch, S samples.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from asr.corpus import read_recordings
from asr.errors import BadData
from asr.model.lengths import mask_padding
from asr.training.augmentation.effects import QUIET, check_range, check_share, draw_ratio, power


@dataclass(frozen=True)
class Noise:
    """Recorded noise mixed into clips."""

    manifest: str = "noise.jsonl"
    """JSON lines with `audio`, relative to the corpus folder."""
    without: str = ""
    """Recordings whose ids end with this are left out, for tests."""
    share: float = 0.3
    """Share of clips that get noise."""
    snr: tuple[float, float] = (5.0, 25.0)
    """Signal-to-noise ratio in decibels, drawn uniformly between the two."""

    def __post_init__(self) -> None:
        check_share("noise.share", self.share)
        check_range("noise.snr", self.snr)

    def found(self, root: Path) -> Path:
        """The manifest below the corpus folder `root`; BadData if it does not exist."""
        path = root / self.manifest
        if not path.is_file():
            raise BadData(
                f"{path}: there is no manifest of noise; write one JSON line per clip "
                '({"audio": "noise.wav"}), or set model.augment.noise to null.'
            )
        return path


class NoiseBank:
    """The noise clips of a manifest, decoded and held in memory (230 MB an hour).

    Raises:
        BadData: the manifest is missing, or a clip of it cannot be used.
    """

    def __init__(self, settings: Noise, root: Path) -> None:
        path = settings.found(root)
        utterances = read_recordings(path)
        if settings.without:
            utterances = [u for u in utterances if not u.id.endswith(settings.without)]
        with ThreadPoolExecutor() as pool:  # decoders release the GIL
            clips = list(pool.map(lambda utterance: utterance.load().samples, utterances))
        self._settings = settings
        self._clips = [torch.from_numpy(clip) for clip in clips if len(clip)]
        if not self._clips:
            raise BadData(f"{path}: no noise is left to mix in; correct model.augment.noise.")

    def mix(self, wave: Tensor, lengths: Tensor, always: bool = False) -> Tensor:
        """`(B, S)` with noise in some or all clips, at a random ratio over each clip's length."""
        batch, samples = wave.shape
        chosen = torch.rand(batch) < (1.0 if always else self._settings.share)
        noise = torch.zeros(batch, samples)
        for row in chosen.nonzero().flatten().tolist():
            noise[row] = self._piece(samples)
        noise = mask_padding(noise.to(wave.device), lengths)
        ratio = draw_ratio(*self._settings.snr, batch)
        speech, loudness = power(wave, lengths), power(noise, lengths)
        audible = (loudness > QUIET) & (speech > QUIET)
        scale = (speech / (loudness.clamp_min(QUIET) * ratio.to(wave.device))).sqrt()  # (B,)
        return wave + noise * (scale * audible)[:, None]

    def _piece(self, samples: int) -> Tensor:
        """`(S,)` from a random position in a random noise clip, repeated if it is too short."""
        clip = self._clips[int(torch.randint(len(self._clips), ()))]
        first = int(torch.randint(len(clip), ()))
        return clip.roll(-first).repeat(-(-samples // len(clip)))[:samples]
