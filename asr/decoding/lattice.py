"""What decoders read: the log-probabilities of one recording."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Lattice: TypeAlias = NDArray[np.float32]
"""`(U, V)` natural logs: frames and units."""
LEAST = -1e4
"""Stands for a log-probability of -inf: a path through it stays possible, and a product with it is
a number."""
