"""Samples of any type -> float32."""

from typing import Any

import numpy as np
import numpy.typing as npt


def to_float(samples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """`samples` as float32: integers scaled by their type to [-1, 1), floats as they are."""
    kind, bits = samples.dtype.kind, 8 * samples.dtype.itemsize
    if kind == "f":
        with np.errstate(over="ignore"):  # becomes infinite, which is refused later
            return samples.astype(np.float32, copy=False)
    scale = np.float32(2.0 ** (bits - 1))
    middle = scale if kind == "u" else np.float32(0)
    return (samples.astype(np.float32) - middle) / scale
