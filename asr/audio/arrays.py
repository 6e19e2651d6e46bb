"""Samples in memory -> pieces of sound, checked for what people get wrong."""

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from asr.audio.decode import BLOCK_VALUES, Piece
from asr.audio.scale import to_float
from asr.errors import BadAudio

MAX_CHANNELS = 64
"""More is taken for samples that lie along the wrong axis."""


def cut(source: tuple[Any, ...], label: str) -> Iterator[Piece]:
    """`(samples, rate)` in pieces of bounded size.

    Samples are `(S,)` or `(S, channels)`: floats are taken as they are, integers of up to 32 bits
    are scaled by their type. BadAudio for anything else; `label` names it.
    """
    if len(source) != 2:
        raise BadAudio(f"{label} is a tuple of {len(source)}: give (samples, rate)")
    rate = _whole_rate(source[1], label)
    try:
        samples = np.asarray(source[0])
    except ValueError as error:
        raise BadAudio(f"{label} has samples that are no array: give (samples,)") from error
    if samples.dtype.kind not in "iuf":
        raise BadAudio(f"{label} has samples of type {samples.dtype}: give floats or integers")
    if samples.dtype.kind in "iu" and samples.dtype.itemsize > 4:
        # Python's own integers come as 64 bits, whatever scale they were recorded at.
        raise BadAudio(
            f"{label} has samples of type {samples.dtype}, which tells no scale: "
            "give int16, int32 or floats in [-1, 1]"
        )
    if samples.ndim == 1:
        samples = samples[:, np.newaxis]  # (S,) -> (S, 1)
    if samples.ndim != 2 or not 1 <= samples.shape[1] <= MAX_CHANNELS:
        raise BadAudio(
            f"{label} has samples of shape {np.shape(source[0])}: give (samples,) or "
            f"(samples, channels) with at most {MAX_CHANNELS} channels"
        )
    block = BLOCK_VALUES // samples.shape[1]
    for start in range(0, max(1, len(samples)), block):  # at least one, so that the rate is seen
        yield rate, to_float(samples[start : start + block])


def _whole_rate(rate: Any, label: str) -> int:
    rate = rate.item() if isinstance(rate, np.generic) else rate
    try:
        return operator.index(rate)
    except TypeError:
        if isinstance(rate, float) and rate.is_integer():
            return int(rate)
    raise BadAudio(f"{label} has a sampling rate of {rate!r}: give a whole number of Hz")
