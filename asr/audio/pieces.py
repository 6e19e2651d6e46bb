"""Audio between a file and its samples: the types that the stages pass on."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.float32]
"""Samples `(frames, channels)`; full scale is 1."""

Piece: TypeAlias = tuple[int, Samples]
"""A rate in Hz and samples at that rate."""

MIN_RATE, MAX_RATE = 1_000, 384_000
"""Possible sampling rates in Hz; others come from damaged or forged headers."""

MAX_CHANNELS = 64
"""More channels come from a damaged header, or from samples along the wrong axis."""

BLOCK_VALUES = 2**17
"""Samples over all channels decoded at a time: half a megabyte."""
