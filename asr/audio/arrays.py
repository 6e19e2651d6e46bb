"""Samples in memory -> pieces of audio, checked for common mistakes."""

import operator
import reprlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.audio.pieces import BLOCK_VALUES, MAX_CHANNELS, Piece
from asr.audio.scale import to_float
from asr.errors import BadAudio


def cut(source: tuple[Any, ...], label: str) -> Iterator[Piece]:
    """`(samples, rate)` in pieces of bounded size.

    Samples are `(S,)`, `(S, channels)` or, if that is impossible, `(channels, S)`. Floats are kept,
    integers of up to 32 bits are scaled by their type. BadAudio for anything else; `label` names
    the source in errors.
    """
    if len(source) != 2:
        raise BadAudio(f"{label} is a tuple of {len(source)}: give (samples, rate)")
    rate_first = isinstance(source[0], int | float | np.integer)
    if rate_first and getattr(source[1], "ndim", None) not in (None, 0):
        raise BadAudio(f"{label} is given as (rate, samples): give (samples, rate)")
    rate = _whole_rate(source[1], label)
    try:
        samples = _array(source[0])
    except Exception as error:  # a caller's object may raise anything
        raise BadAudio(f"{label} has samples that are no array: give (samples,)") from error
    shape = samples.shape
    if samples.dtype.kind not in "iuf":
        raise BadAudio(f"{label} has samples of type {samples.dtype}: give floats or integers")
    if samples.dtype.kind in "iu" and samples.dtype.itemsize > 4:
        # Python's integers become 64 bits, whatever their scale was.
        raise BadAudio(
            f"{label} has samples of type {samples.dtype}, which tells no scale: "
            "give int16, int32 or floats in [-1, 1]"
        )
    if samples.ndim == 1:
        samples = samples[:, np.newaxis]  # (S,) -> (S, 1)
    if samples.ndim == 2 and samples.shape[1] > MAX_CHANNELS >= samples.shape[0]:
        samples = samples.T  # (channels, S) -> (S, channels)
    if samples.ndim != 2 or not 1 <= samples.shape[1] <= MAX_CHANNELS:
        raise BadAudio(
            f"{label} has samples of shape {shape}: give (samples,), "
            f"(samples, channels) or (channels, samples) with at most {MAX_CHANNELS} channels"
        )
    block = BLOCK_VALUES // samples.shape[1]
    for start in range(0, max(1, len(samples)), block):  # at least one, to check the rate
        yield rate, to_float(samples[start : start + block])


def _array(samples: Any) -> npt.NDArray[Any]:
    """Samples of any kind as an array, also a torch tensor on any device."""
    if hasattr(samples, "detach"):  # of torch, which is not imported for this
        samples = samples.detach().cpu()
        if str(samples.dtype) == "torch.bfloat16":  # numpy has no bfloat16
            samples = samples.float()
    array = np.asarray(samples)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _whole_rate(rate: Any, label: str) -> int:
    try:
        if isinstance(rate, np.generic) or getattr(rate, "ndim", None) == 0:
            rate = rate.item()
        if isinstance(rate, float) and rate.is_integer():
            return int(rate)
        return operator.index(rate)
    except Exception as error:  # a caller's object may raise anything
        shown = reprlib.repr(rate)
        raise BadAudio(
            f"{label} has a sampling rate of {shown}: give a whole number of Hz"
        ) from error
