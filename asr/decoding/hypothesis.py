"""The result of a decoder."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """The units decoded in one utterance, without blanks, in order of time.

    The four tuples have the same length. The frames `[start, end)` of units are in order and never
    overlap.
    """

    units: tuple[int, ...]
    """The units, as the tokenizer numbers them."""
    starts: tuple[int, ...]
    """First frame of each unit."""
    ends: tuple[int, ...]
    """The frame after the last one of each unit."""
    confidences: tuple[float, ...]
    """For each unit, from 0 to 1: the mean of its posterior over its frames."""
    score: float
    """Natural log-probability of the path through the lattice, blanks included."""
