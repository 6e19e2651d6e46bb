"""The log-mel features of `asr.model.features`, in ONNX's operators.

Shapes: B batch, S samples, T feature frames, F mels, N points of the Fourier transform.
"""

import math

import numpy as np
from numpy.typing import NDArray

from asr.export.onnx.writer import DOUBLE, FLOAT, GraphWriter
from asr.model import FeatureConfig
from asr.model.features import FLOOR, LogMel


def write_features(g: GraphWriter, features: LogMel) -> tuple[str, str]:
    """`wave` (B, S) -> normalised log-mels (B, T, F) with zero padding, and their lengths."""
    lengths = _lengths(g, features.config)
    energies = _energies(g, features)
    padding = g.padding(energies, lengths)
    if features.config.normalize == "corpus":
        centred = g.op("Sub", energies, g.weight("features.mean", features.mean))
        scaled = g.op("Div", centred, g.weight("features.deviation", features.deviation))
        return g.masked(scaled, padding), lengths
    axis = g.integers(1)
    count = g.op("Cast", g.op("Max", lengths, g.integers(1)), to=FLOAT)  # (B,)
    count = g.op("Unsqueeze", count, g.integers(1, 2))  # (B, 1, 1)
    total = g.op("ReduceSum", g.masked(energies, padding), axis)
    centred = g.masked(g.op("Sub", energies, g.op("Div", total, count)), padding)
    squares = g.op("ReduceSum", g.op("Mul", centred, centred), axis)
    variance = g.op("Add", g.op("Div", squares, count), g.floats(1e-2))  # (B, 1, F)
    return g.op("Div", centred, g.op("Sqrt", variance)), lengths


def _lengths(g: GraphWriter, config: FeatureConfig) -> str:
    """max(0, floor((samples - window) / hop) + 1), by a division without negative values."""
    reach = g.op("Add", "wave_lengths", g.integers(config.hop - config.window))
    return g.op("Div", g.op("Max", reach, g.integers(0)), g.integers(config.hop))


def _energies(g: GraphWriter, features: LogMel) -> str:
    """`wave` (B, S) -> log-mel energies (B, T, F).

    The Fourier transform is computed in float64: in float32 a faint band beside a loud one is so
    inexact that log-probabilities change by more than 1e-4.

    A shift in time does not change power, so the transform is centred on the window's middle. There
    cosines are even and sines odd: folding each frame first halves the products.
    """
    half = features.config.window // 2
    frames = _frames(g, features.config)
    frames = g.op("Mul", frames, g.weight("features.window", features.window.double()))
    axis, backwards = g.integers(2), g.integers(-1)
    late = g.op("Slice", frames, g.integers(half), g.integers(2 * half), axis)
    early = g.op("Slice", frames, g.integers(half - 1), g.integers(-2 * half - 1), axis, backwards)
    waves = _waves(half, features.config.points)
    cosines, sines = g.weight("features.cosines", waves[0]), g.weight("features.sines", waves[1])
    even, odd = g.op("Add", late, early), g.op("Sub", late, early)  # (B, T, window / 2)
    real = g.op("MatMul", even, cosines, name="features.real")  # (B, T, N / 2 + 1)
    imaginary = g.op("MatMul", odd, sines, name="features.imaginary")
    power = g.op("Add", g.op("Mul", real, real), g.op("Mul", imaginary, imaginary))
    filters = g.weight("features.filters", features.filters)
    mel = g.op("MatMul", g.op("Cast", power, to=FLOAT), filters, name="features.mel")
    return g.op("Log", g.op("Add", mel, g.floats(FLOOR)))  # (B, T, F)


def _frames(g: GraphWriter, config: FeatureConfig) -> str:
    """`wave` (B, S) -> its windows `(B, T, window)` in float64, at least one.

    Windows overlap, but all begin and end on a grid of `step` samples, so whole steps are gathered
    instead of samples.
    """
    step = math.gcd(config.window, config.hop)
    overhang = g.integers(config.window - config.hop)
    hop = g.integers(config.hop)
    given = g.op("Shape", "wave", start=1)  # (1,)
    samples = g.op("Max", given, g.integers(config.window))
    pads = g.op("Concat", g.integers(0, 0, 0), g.op("Sub", samples, given), axis=0)
    frames = g.op("Div", g.op("Sub", samples, overhang), hop)  # (1,)
    used = g.op("Add", g.op("Mul", frames, hop), overhang)
    wave = g.op("Cast", g.op("Pad", "wave", pads), to=DOUBLE)
    wave = g.op("Slice", wave, g.integers(0), used, g.integers(1))
    wave = g.op("Reshape", wave, g.integers(0, -1, step))  # (B, S / step, step)
    first = g.op("Range", g.scalar(0), g.op("Squeeze", frames), g.scalar(1))  # (T,)
    first = g.op("Mul", first, g.integers(config.hop // step))
    index = g.op(
        "Add",
        g.op("Unsqueeze", first, g.integers(1)),
        g.integers(*range(config.window // step)),
    )  # (T, window / step)
    windows = g.op("Gather", wave, index, axis=1)  # (B, T, window / step, step)
    return g.op("Reshape", windows, g.integers(0, 0, -1))  # (B, T, window)


def _waves(half: int, points: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosines and sines `(half, N / 2 + 1)` at half samples from the window's middle outwards."""
    # 2 pi (sample + 1/2) k / N; whole turns are dropped as integers, before rounding.
    turns = np.outer(2 * np.arange(half) + 1, np.arange(points // 2 + 1)) % (2 * points)
    angle = np.pi * turns / points
    return np.cos(angle), np.sin(angle)
