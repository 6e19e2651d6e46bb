"""Everything that a model computes for one recording, from samples to words.

Shapes: S samples, T feature frames, F mels, U output frames, V units of all heads, H hidden units.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asr.audio import Audio, levelled
from asr.inspection.events import Event, events
from asr.model import AcousticModel
from asr.model.gates import LayerTrace, held, trace
from asr.options import Options
from asr.runtime import Recognizer
from asr.sampling import SAMPLE_RATE
from asr.text import Tokenizer
from asr.text.phones import PhoneTokenizer
from asr.transcript import Transcript

MOST_SECONDS = 30.0
"""Longest recording that is inspected: its page has about 12 MB."""
HELD_AT = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Values at which the gate that keeps memory is held."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class HeldReading:
    """What is read while the memory's gate of one layer is held at a value."""

    layer: int
    value: float
    text: str


@dataclass(frozen=True, eq=False)
class Head:
    """The log-probabilities of one head."""

    name: str
    """`letters` or `phones`."""
    units: tuple[str, ...]
    """What each column stands for; the first is the blank."""
    log_probs: FloatArray
    """`(U, V)` of this head."""

    @property
    def path(self) -> NDArray[np.int64]:
        """`(U,)` the most probable unit of each frame."""
        path: NDArray[np.int64] = self.log_probs.argmax(axis=1)
        return path


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a model computes for one recording; it runs in torch, in float32."""

    audio: Audio
    """What was read."""
    whole_seconds: float
    """Duration of the recording, of which the audio may be the beginning."""
    cell: str
    frame_seconds: float
    hop_seconds: float
    log_mel: FloatArray
    """`(T, F)` as the model reads it, normalised."""
    heads: tuple[Head, ...]
    transcript: Transcript
    decoder: str
    traces: tuple[LayerTrace, ...]
    """By layer; ahead comes before back."""
    events: tuple[Event, ...]
    held: tuple[HeldReading, ...]
    """Empty for cells without a gate that keeps memory."""

    @property
    def was_cut(self) -> bool:
        """Whether only the beginning of the recording was read."""
        return self.audio.duration < self.whole_seconds


def inspect(recognizer: Recognizer, audio: Audio) -> Inspection:
    """Runs a recogniser's model over a recording, or over the beginning of a long one.

    Raises:
        BadBundle: the bundle has no weights that torch can read.
        BadOption: the recording is shorter than a frame.
    """
    model = recognizer.bundle.acoustic_model()
    kept = Audio(audio.samples[: int(MOST_SECONDS * SAMPLE_RATE)])
    samples = levelled(kept.samples)
    options = recognizer.options()
    traces = tuple(trace(model, samples))
    wave = torch.from_numpy(samples)[None]
    with torch.inference_mode():
        features, lengths = model.features(wave, torch.tensor([wave.shape[1]]))
        log_probs, _ = model.encode(features, lengths)
    log_mel: FloatArray = features[0].numpy()
    lattice: FloatArray = log_probs[0].numpy()
    heads = _heads(lattice, recognizer.bundle.tokenizer)
    transcript = _read(recognizer, lattice, kept, options)
    frame_seconds = model.config.frame_seconds
    return Inspection(
        audio=kept,
        whole_seconds=audio.duration,
        cell=model.config.cell,
        frame_seconds=frame_seconds,
        hop_seconds=model.config.features.hop / SAMPLE_RATE,
        log_mel=log_mel,
        heads=heads,
        transcript=transcript,
        decoder=options.decoder,
        traces=traces,
        events=events(heads[-1].units, heads[-1].path, log_mel, transcript.words, frame_seconds),
        held=tuple(_held(recognizer, model, samples, kept, options)) if traces[0].keeps else (),
    )


def _held(
    recognizer: Recognizer,
    model: AcousticModel,
    samples: FloatArray,
    audio: Audio,
    options: Options,
) -> Iterator[HeldReading]:
    for layer in range(1, model.config.layers + 1):
        for value in HELD_AT:
            lattice = held(model, samples, layer, value).numpy()
            yield HeldReading(layer, value, _read(recognizer, lattice, audio, options).text)


def _read(
    recognizer: Recognizer, lattice: FloatArray, audio: Audio, options: Options
) -> Transcript:
    (transcript,) = recognizer.read([lattice], [audio.duration], options)
    return transcript


def _heads(lattice: FloatArray, tokenizer: Tokenizer) -> tuple[Head, ...]:
    letters = ("blank", *tokenizer.spellings[1:])
    heads = [Head("letters", letters, lattice[:, : len(letters)])]
    if isinstance(tokenizer, PhoneTokenizer):
        phones = ("blank", "|", *tokenizer.phones)
        heads.append(Head("phones", phones, lattice[:, len(letters) :]))
    return tuple(heads)


def summary(inspection: Inspection) -> list[Mapping[str, Any]]:
    """How far the gate of the memory is open and how long cells remember, by layer and direction.

    Empty for cells without such a gate.
    """
    rows: list[Mapping[str, Any]] = []
    for item in inspection.traces:
        lives = item.half_life(inspection.frame_seconds)
        if lives is None or item.keeps is None:
            return []
        rows.append(
            {
                "layer": item.layer,
                "direction": item.direction,
                "open": float(item.curves[item.keeps].mean()),
                "median_s": float(lives.median()),
                "longest_s": float(lives.max()),
                "over_1_s": float((lives > 1).float().mean()),
            }
        )
    return rows
