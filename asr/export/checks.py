"""Compares an ONNX graph with the torch model that it was written from.

Shapes: B batch, S samples, U output frames, V units.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
import torch
from numpy.typing import NDArray

from asr.bundle import Bundle, Int8Loss
from asr.bundle.session import saturates, session
from asr.counting import counted
from asr.errors import BadBundle
from asr.model import AcousticModel
from asr.sampling import SAMPLE_RATE

if TYPE_CHECKING:
    import onnx

FP32_LIMIT = 1e-4
"""Largest difference of a log-probability between torch and an fp32 graph."""
INT8_LIMIT = 0.02
"""Largest mean divergence of an int8 graph from torch, in nats per frame.

By Pinsker's inequality the probability of any event in a frame, such as "this is a blank", then
moves by at most sqrt(0.02 / 2) = 0.1 on average. The share of frames with the same best unit is
reported but has no limit: where a model is unsure, near-ties flip without meaning.
"""
_IMMATERIAL = 0.002
"""Nats per frame, a tenth of INT8_LIMIT: processors that round differently differ by as much."""
_BATCH_LENGTHS = (
    [SAMPLE_RATE],
    [250],  # shorter than one window
    [0, 399, 52_000],
    [400, 560, 1_200, 7_777, 16_001, 24_000, 40_000, 64_000],
)

FloatArray = NDArray[np.float32]
Batch = tuple[FloatArray, NDArray[np.int64]]
Graph: TypeAlias = Union["onnx.ModelProto", Path]
"""A graph in memory, or its file."""


def fp32_difference(model: AcousticModel, graph: onnx.ModelProto) -> float:
    """Largest absolute difference of log-probabilities on ragged batches.

    Raises:
        BadBundle: it is above `FP32_LIMIT`, or the lengths differ.
    """
    batches = probes()
    largest = 0.0
    expected = _torch_log_probs(model, batches)
    for torch_frames, onnx_frames in zip(expected, _onnx_log_probs(graph, batches), strict=True):
        if torch_frames.shape != onnx_frames.shape:
            raise BadBundle(
                f"the ONNX graph gives {counted(len(onnx_frames), 'frame')} where torch gives "
                f"{len(torch_frames)}; nothing was written: report this as a fault."
            )
        largest = max(largest, float(np.abs(torch_frames - onnx_frames).max(initial=0.0)))
    if not largest <= FP32_LIMIT:  # also refuses NaN
        raise BadBundle(
            f"the ONNX graph's log-probabilities differ from torch's by {largest:.1e}, over "
            f"{FP32_LIMIT:.0e}; nothing was written: report this as a fault."
        )
    return largest


def int8_loss(model: AcousticModel, graph: Graph, exact: bool = True) -> Int8Loss:
    """The loss of the int8 graph on this processor, with one utterance per call as in the engine.

    Args:
        exact: as in `asr.bundle.session.session`.
    """
    alone: list[Batch] = [
        (wave[row : row + 1, :length], lengths[row : row + 1])
        for wave, lengths in probes()
        for row, length in enumerate(lengths)
    ]
    expected = np.concatenate(_torch_log_probs(model, alone)).astype(np.float64)  # (U, V)
    int8 = np.concatenate(_onnx_log_probs(graph, alone, exact)).astype(np.float64)  # (U, V)
    difference = np.abs(expected - int8)
    return Int8Loss(
        mean_difference=float(difference.mean()),
        max_difference=float(difference.max()),
        divergence=float((np.exp(expected) * (expected - int8)).sum(axis=1).mean()),
        agreement=float((expected.argmax(axis=1) == int8.argmax(axis=1)).mean()),
    )


def checked_int8_loss(model: AcousticModel, graph: Graph) -> Int8Loss:
    """`int8_loss`; BadBundle if its divergence is above `INT8_LIMIT`."""
    loss = int8_loss(model, graph)
    if not loss.divergence <= INT8_LIMIT:
        raise BadBundle(
            f"int8 changes this model's output by {loss.divergence:.3g} nats a frame, over "
            f"{INT8_LIMIT}; nothing was written: export it with --precision fp32."
        )
    return loss


def int8_here(bundle: Bundle) -> tuple[bool, str]:
    """Whether an int8 bundle computes the same here as where it was exported, and a sentence.

    The sentence states the divergence from fp32 here, and the effect of the processor.
    """
    if bundle.info.export.int8 is None:
        raise BadBundle(f"bundle {bundle.path} is not in int8; there is nothing to compare.")
    recorded = bundle.info.export.int8.divergence
    model = bundle.acoustic_model()
    here = int8_loss(model, bundle.graph).divergence
    same = abs(here - recorded) <= max(0.1 * recorded, _IMMATERIAL)
    said = f"{here:.3g} nats a frame from fp32, "
    said += "as where it was exported" if same else f"but {recorded:.3g} where it was exported"
    if saturates():
        fast = int8_loss(model, bundle.graph, exact=False).divergence
        said += (
            f"; the fastest 8-bit sums of this processor saturate and would make it {fast:.3g}, "
            "so exact ones are used, which are slower"
        )
    return same, said


def probes() -> list[Batch]:
    """Batches `(wave (B, S), wave_lengths (B,))` of speech-like signals, with NaN as padding."""
    generator = np.random.default_rng(0)
    batches: list[Batch] = []
    for lengths in _BATCH_LENGTHS:
        wave = np.full((len(lengths), max(lengths)), np.nan, dtype=np.float32)
        for row, length in enumerate(lengths):
            wave[row, :length] = _speech_like(length, generator)
        batches.append((wave, np.array(lengths, dtype=np.int64)))
    return batches


def _speech_like(samples: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Gliding harmonics with a moving formant, hiss between syllables, and a noise floor."""
    time = np.arange(samples) / SAMPLE_RATE
    start = generator.uniform(0.0, 2 * np.pi, size=3)
    pitch = generator.uniform(90.0, 220.0) * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * time + start[0]))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    formant = 1200.0 + 700.0 * np.sin(2 * np.pi * 1.7 * time + start[1])  # Hz
    voice = np.zeros(samples)
    for harmonic in range(1, 25):
        loudness = 0.1 / harmonic + np.exp(-(((harmonic * pitch - formant) / 250.0) ** 2))
        voice += loudness * np.sin(harmonic * phase)
    syllable = np.clip(np.sin(2 * np.pi * 3.0 * time + start[2]), 0.0, 1.0)  # three a second
    noise = generator.standard_normal(samples)
    speech: NDArray[np.float64] = (
        0.05 * syllable * voice + (0.02 * (1.0 - syllable) ** 4 + 1e-3) * noise
    )
    return speech


def _torch_log_probs(model: AcousticModel, batches: Sequence[Batch]) -> list[FloatArray]:
    """The frames `(U, V)` of each utterance."""
    utterances: list[FloatArray] = []
    for wave, wave_lengths in batches:
        with torch.inference_mode():
            log_probs, lengths = model(torch.from_numpy(wave), torch.from_numpy(wave_lengths))
        utterances += _cut(log_probs.numpy(), lengths.numpy())
    return utterances


def _onnx_log_probs(graph: Graph, batches: Sequence[Batch], exact: bool = True) -> list[FloatArray]:
    """The frames `(U, V)` of each utterance."""
    run = session(graph if isinstance(graph, Path) else graph.SerializeToString(), exact).run
    utterances: list[FloatArray] = []
    for wave, wave_lengths in batches:
        utterances += _cut(*run(None, {"wave": wave, "wave_lengths": wave_lengths}))
    return utterances


def _cut(log_probs: FloatArray, lengths: NDArray[np.int64]) -> list[FloatArray]:
    return [frames[:length] for frames, length in zip(log_probs, lengths, strict=True)]
