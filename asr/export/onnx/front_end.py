"""The log-mel features of `asr.model.features`, in ONNX's operators.

Shapes: B batch, S samples, T feature frames, F mels, N points of the Fourier transform.
"""

import math

import numpy as np
from numpy.typing import NDArray

from asr.export.onnx.writer import DOUBLE, FLOAT, GraphWriter
from asr.model import FeatureConfig
from asr.model.features import FLOOR, LogMel

_BLOCK = 100
"""Frames that are computed at a time: a second."""


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
    """`wave` (B, S) -> log-mel energies (B, T, F), at least one frame of each.

    They are computed in blocks of frames, whose double precision stays in the processor's cache:
    all at once they take three times the memory of everything that follows.
    """
    blocks, frames = _blocks(g, features.config)
    inner = GraphWriter("features.")
    _block_energies(inner, features, "block")
    energies = g.op(
        "Scan",
        blocks,
        name="features",
        body=inner.graph(["block"], ["energies"]),
        num_scan_inputs=1,
    )  # (blocks, B, _BLOCK, F)
    energies = g.op("Transpose", energies, perm=[1, 0, 2, 3])
    energies = g.op("Reshape", energies, g.integers(0, -1, features.config.mels))
    return g.op("Slice", energies, g.integers(0), frames, g.integers(1))  # (B, T, F)


def _blocks(g: GraphWriter, config: FeatureConfig) -> tuple[str, str]:
    """`wave` (B, S) -> the samples of each block of frames (blocks, B, steps, step), and T.

    Windows overlap, but all begin and end on a grid of `step` samples, so whole steps are gathered
    instead of samples. Zeros follow the last one.
    """
    step = math.gcd(config.window, config.hop)
    hop, reach = config.hop // step, _reach(config)
    given = g.op("Shape", "wave", start=1)  # (1,)
    behind = g.op("Max", g.op("Sub", given, g.integers(config.window)), g.integers(0))
    frames = g.op("Add", g.op("Div", behind, g.integers(config.hop)), g.integers(1))  # (1,)
    count = g.op("Div", g.op("Add", frames, g.integers(_BLOCK - 1)), g.integers(_BLOCK))
    steps = g.op("Mul", count, g.integers(_BLOCK * hop))
    needed = g.op("Mul", g.op("Add", steps, g.integers(reach - _BLOCK * hop)), g.integers(step))
    used = g.op("Slice", "wave", g.integers(0), g.op("Min", given, needed), g.integers(1))
    missing = g.op("Sub", needed, g.op("Min", given, needed))
    wave = g.op("Pad", used, g.op("Concat", g.integers(0, 0, 0), missing, axis=0))
    wave = g.op("Reshape", wave, g.integers(0, -1, step))  # (B, S / step, step)
    first = g.op("Range", g.scalar(0), g.op("Squeeze", steps), g.scalar(_BLOCK * hop))  # (blocks,)
    index = g.op("Add", g.op("Unsqueeze", first, g.integers(1)), g.integers(*range(reach)))
    blocks = g.op("Gather", wave, index, axis=1)  # (B, blocks, steps, step)
    return g.op("Transpose", blocks, perm=[1, 0, 2, 3]), frames


def _reach(config: FeatureConfig) -> int:
    """Steps that the frames of a block cover."""
    step = math.gcd(config.window, config.hop)
    return ((_BLOCK - 1) * config.hop + config.window) // step


def _block_energies(g: GraphWriter, features: LogMel, block: str) -> str:
    """The samples of a block (B, steps, step) -> log-mel energies (B, _BLOCK, F).

    The Fourier transform is computed in float64: in float32 a faint band beside a loud one is so
    inexact that log-probabilities change by more than 1e-4.

    A shift in time does not change power, so the transform is centred on the window's middle. There
    cosines are even and sines odd: folding each frame first halves the products.
    """
    config = features.config
    step, half = math.gcd(config.window, config.hop), config.window // 2
    places = [
        [frame * config.hop // step + part for part in range(config.window // step)]
        for frame in range(_BLOCK)
    ]
    samples = g.op("Cast", block, to=DOUBLE)
    frames = g.op("Gather", samples, g.weight("features.places", np.array(places)), axis=1)
    frames = g.op("Reshape", frames, g.integers(0, 0, -1))  # (B, _BLOCK, window)
    frames = g.op("Mul", frames, g.weight("features.window", features.window.double()))
    axis, backwards = g.integers(2), g.integers(-1)
    late = g.op("Slice", frames, g.integers(half), g.integers(2 * half), axis)
    early = g.op("Slice", frames, g.integers(half - 1), g.integers(-2 * half - 1), axis, backwards)
    waves = _waves(half, config.points)
    cosines, sines = g.weight("features.cosines", waves[0]), g.weight("features.sines", waves[1])
    even, odd = g.op("Add", late, early), g.op("Sub", late, early)  # (B, _BLOCK, window / 2)
    real = g.op("MatMul", even, cosines, name="features.real")  # (B, _BLOCK, N / 2 + 1)
    imaginary = g.op("MatMul", odd, sines, name="features.imaginary")
    power = g.op("Add", g.op("Mul", real, real), g.op("Mul", imaginary, imaginary))
    filters = g.weight("features.filters", features.filters)
    mel = g.op("MatMul", g.op("Cast", power, to=FLOAT), filters, name="features.mel")
    return g.op("Log", g.op("Add", mel, g.floats(FLOOR)), name="energies")


def _waves(half: int, points: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosines and sines `(half, N / 2 + 1)` at half samples from the window's middle outwards."""
    # 2 pi (sample + 1/2) k / N; whole turns are dropped as integers, before rounding.
    turns = np.outer(2 * np.arange(half) + 1, np.arange(points // 2 + 1)) % (2 * points)
    angle = np.pi * turns / points
    return np.cos(angle), np.sin(angle)
