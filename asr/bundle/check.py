"""Holds an ONNX graph to the torch model that it was written from.

Shapes: B batch, S samples, U output frames, V units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from asr.errors import BadBundle
from asr.model import AcousticModel
from asr.model.features import SAMPLE_RATE

if TYPE_CHECKING:
    import onnx

FP32_LIMIT = 1e-4
"""Largest difference of a log-probability between torch and an fp32 graph."""
INT8_LIMIT = 0.02
"""Largest mean divergence of an int8 graph from torch, in nats per frame.

By Pinsker's inequality the probability of any event in a frame, such as "this is a blank", then
moves by at most sqrt(0.02 / 2) = 0.1 on average. The share of frames whose best unit agrees is
stated beside it and not judged: where a model is unsure, near-ties flip and mean nothing.
"""
_BATCH_LENGTHS = (
    [SAMPLE_RATE],
    [250],  # shorter than one window
    [0, 399, 52_000],
    [400, 560, 1_200, 7_777, 16_001, 24_000, 40_000, 64_000],
)

FloatArray = NDArray[np.float32]
Batch = tuple[FloatArray, NDArray[np.int64]]


@dataclass(frozen=True)
class Int8Loss:
    """What quantisation costs on the probes, against torch in float32."""

    mean_difference: float
    """Mean absolute difference of log-probabilities."""
    max_difference: float
    """Largest absolute difference of log-probabilities."""
    divergence: float
    """Mean Kullback-Leibler divergence per frame, in nats."""
    agreement: float
    """Share of frames whose most probable unit is the same."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, rounded to what is worth reading."""
        return {key: float(f"{value:.3g}") for key, value in asdict(self).items()}


def fp32_difference(model: AcousticModel, graph: onnx.ModelProto) -> float:
    """Largest absolute difference of log-probabilities on ragged batches.

    Raises:
        BadBundle: it is above `FP32_LIMIT`, or the lengths differ.
    """
    batches = probes()
    largest = 0.0
    expected = _torch_log_probs(model, batches)
    for ours, theirs in zip(expected, _onnx_log_probs(graph, batches), strict=True):
        if ours.shape != theirs.shape:
            raise BadBundle(
                f"the ONNX graph gives {len(theirs)} frames where torch gives {len(ours)}; "
                "nothing was written: report this as a fault."
            )
        largest = max(largest, float(np.abs(ours - theirs).max(initial=0.0)))
    if not largest <= FP32_LIMIT:  # NaN is refused too
        raise BadBundle(
            f"the ONNX graph's log-probabilities differ from torch's by {largest:.1e}, over "
            f"{FP32_LIMIT:.0e}; nothing was written: report this as a fault."
        )
    return largest


def int8_loss(model: AcousticModel, graph: onnx.ModelProto) -> Int8Loss:
    """What the int8 graph loses, one utterance a call as the engine does.

    Raises:
        BadBundle: its divergence is above `INT8_LIMIT`.
    """
    alone: list[Batch] = [
        (wave[row : row + 1, :length], lengths[row : row + 1])
        for wave, lengths in probes()
        for row, length in enumerate(lengths)
    ]
    exact = np.concatenate(_torch_log_probs(model, alone)).astype(np.float64)  # (U, V)
    int8 = np.concatenate(_onnx_log_probs(graph, alone)).astype(np.float64)  # (U, V)
    difference = np.abs(exact - int8)
    loss = Int8Loss(
        mean_difference=float(difference.mean()),
        max_difference=float(difference.max()),
        divergence=float((np.exp(exact) * (exact - int8)).sum(axis=1).mean()),
        agreement=float((exact.argmax(axis=1) == int8.argmax(axis=1)).mean()),
    )
    if not loss.divergence <= INT8_LIMIT:
        raise BadBundle(
            f"int8 changes this model's output by {loss.divergence:.3g} nats a frame, over "
            f"{INT8_LIMIT}; nothing was written: export it with --precision fp32."
        )
    return loss


def probes() -> list[Batch]:
    """Ragged batches `(wave (B, S), wave_lengths (B,))` like speech, NaN behind each length."""
    generator = np.random.default_rng(0)
    batches: list[Batch] = []
    for lengths in _BATCH_LENGTHS:
        wave = np.full((len(lengths), max(lengths)), np.nan, dtype=np.float32)
        for row, length in enumerate(lengths):
            wave[row, :length] = _speech_like(length, generator)
        batches.append((wave, np.array(lengths, dtype=np.int64)))
    return batches


def _speech_like(samples: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Gliding harmonics under a moving formant, hiss between the syllables, a noise floor."""
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
    found: list[FloatArray] = []
    for wave, wave_lengths in batches:
        with torch.inference_mode():
            log_probs, lengths = model(torch.from_numpy(wave), torch.from_numpy(wave_lengths))
        found += _cut(log_probs.numpy(), lengths.numpy())
    return found


def _onnx_log_probs(graph: onnx.ModelProto, batches: Sequence[Batch]) -> list[FloatArray]:
    """The frames `(U, V)` of each utterance."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # one order of sums: the same figures on every machine
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: list[FloatArray] = []
    for wave, wave_lengths in batches:
        found += _cut(*session.run(None, {"wave": wave, "wave_lengths": wave_lengths}))
    return found


def _cut(log_probs: FloatArray, lengths: NDArray[np.int64]) -> list[FloatArray]:
    return [frames[:length] for frames, length in zip(log_probs, lengths, strict=True)]
