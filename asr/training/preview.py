"""Previews of training clips: recordings before and after augmentation, and a picture of both.

Shapes: S samples, T feature frames, F mels.
"""

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from asr.audio import SAMPLE_RATE
from asr.corpus import Utterance, locate
from asr.corpus.dataset import SpeechDataset
from asr.corpus.sources import open_corpus
from asr.errors import BadData, BadOption
from asr.files import writing
from asr.training.augmentation import Augment, NoiseBank
from asr.training.data.module import SpeechData
from asr.training.initial_weights import measure_features
from asr.training.module import CtcTraining

PICTURE = "heard.png"


@dataclass(frozen=True)
class Preview:
    """A clip before and after; waves are `(S,)`, features `(T, F)`, normalised."""

    utterance: Utterance
    waves: tuple[Tensor, Tensor]
    features: tuple[Tensor, Tensor]
    hop_s: float


def preview(module: CtcTraining, data: SpeechData, clips: int, seed: int) -> list[Preview]:
    """Clips spread over the training set, each augmented like a batch of one clip.

    Raises:
        BadOption: the config has no augmentation.
        BadData: there are no clips.
    """
    if module.augment is None:
        raise BadOption("the config has no model.augment, so training hears what was recorded.")
    chosen = _clips(data, clips)
    if module.network.config.features.normalize == "corpus":
        measure_features(module.network, chosen, torch.device("cpu"))
    noise = module.augment.noise
    bank = None if noise is None else NoiseBank(noise, data.root)
    torch.manual_seed(seed)
    return [_preview(module, module.augment, bank, chosen, index) for index in range(len(chosen))]


def _clips(data: SpeechData, clips: int) -> SpeechDataset:
    source = locate(data.root, str(data.names["train"]))
    corpus = open_corpus(source, None, None, data.normal)
    wanted = [u for u in corpus.utterances if data.corpora is None or u.corpus in data.corpora]
    rows = np.linspace(0, len(wanted) - 1, min(clips, len(wanted))).astype(int)
    chosen = [wanted[row] for row in rows]
    missing = corpus.check(chosen)
    if missing or not chosen:
        reason = missing[0].reason if missing else "no line is left; see data.corpora"
        raise BadData(f"{source}: {reason}; `asr check` names every such line.")
    recordings = corpus.recordings(chosen, lambda *_: None)
    for measurement in recordings.measurements:
        if measurement.problem is not None:
            raise BadData(f"{source}: {measurement.problem}; `asr check` names every such line.")
    return SpeechDataset(chosen, recordings.__getitem__, lambda _: [])


@torch.no_grad()
def _preview(
    module: CtcTraining, augment: Augment, bank: NoiseBank | None, clips: SpeechDataset, index: int
) -> Preview:
    clip, hop_s = clips[index], module.network.config.features.hop_ms / 1000
    before = clip.wave[None]  # (1, S)
    lengths = torch.tensor([before.shape[1]])
    after, after_lengths = augment.waves(before, lengths, bank, lambda _: True)
    recorded, _ = module.network.features(before, lengths)
    changed, frames = module.network.features(after, after_lengths)
    if augment.masks is not None:
        changed = augment.masks(changed, frames)
    return Preview(clip.utterance, (before[0], after[0]), (recorded[0], changed[0]), hop_s)


def write_previews(examples: Sequence[Preview], folder: Path) -> None:
    """Each example as `N-recorded.wav` and `N-heard.wav`, and a picture of all.

    Raises:
        BadOption: a file cannot be written; one of its name that was there stays.
    """
    for number, example in enumerate(examples, start=1):
        for name, samples in zip(("recorded", "heard"), example.waves, strict=True):
            with writing(folder / f"{number}-{name}.wav") as file:
                _write_wave(file, samples)
    with writing(folder / PICTURE) as file:
        _picture(examples).savefig(file, format="png", dpi=110)


def _write_wave(target: BinaryIO, samples: Tensor) -> None:
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        whole = (samples.clamp(-1.0, 1.0) * 32767.0).round().to(torch.int16)
        file.writeframes(whole.numpy().astype("<i2").tobytes())


def _picture(examples: Sequence[Preview]) -> Figure:
    """A row for each example: its log-mel energies before and after augmentation."""
    figure = Figure(figsize=(12, 2.2 * len(examples)), layout="constrained")
    rows = figure.subplots(len(examples), 2, squeeze=False, sharey=True)
    for number, (axes, example) in enumerate(zip(rows, examples, strict=True), start=1):
        for axis, features in zip(axes, example.features, strict=True):
            seconds = len(features) * example.hop_s
            axis.imshow(
                features.T.numpy(),  # (T, F) -> (F, T)
                origin="lower", aspect="auto", vmin=-3.0, vmax=3.0, cmap="magma",
                extent=(0.0, seconds, 0, features.shape[1]),
            )  # fmt: skip
        axes[0].set_title(f"{number} as recorded: {example.utterance.id}"[:70], fontsize=9)
        axes[1].set_title(f"{number} as training hears it", fontsize=9)
        axes[0].set_ylabel("mel band")
    for axis in rows[-1]:
        axis.set_xlabel("seconds")
    return figure
