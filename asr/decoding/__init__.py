"""Decoding: log-probabilities -> hypotheses -> transcripts."""

from collections.abc import Callable, Mapping

from torch import Tensor

from asr.decoding.greedy import greedy
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.words import transcript

DECODERS: Mapping[str, Callable[[Tensor, Tensor], list[Hypothesis]]] = {"greedy": greedy}
"""Every decoder by the name that users call it."""

__all__ = ["DECODERS", "Hypothesis", "greedy", "transcript"]
