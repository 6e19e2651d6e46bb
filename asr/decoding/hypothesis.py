"""What a decoder returns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """The units that were heard in one utterance, without blanks, in order of time.

    The four tuples are of one length. The runs of frames `[start, end)` follow one another and
    never overlap.
    """

    units: tuple[int, ...]
    """The units, as the tokenizer numbers them."""
    starts: tuple[int, ...]
    """First frame of each unit."""
    ends: tuple[int, ...]
    """The frame behind the last one of each unit."""
    confidences: tuple[float, ...]
    """From 0 to 1 for each unit: mean over its frames of the posterior of that unit."""
    score: float
    """Natural log-probability of the path through the lattice, blanks included."""
