"""What connectionist temporal classification (CTC) needs for a text."""

from collections.abc import Sequence
from itertools import pairwise

BLANK = 0
"""The blank: the unit that spells nothing."""


def frames_needed(units: Sequence[int]) -> int:
    """The fewest output frames in which CTC can spell `units`.

    One frame for each unit, and a blank between equal neighbours (Graves et al., 2006, eq. 2: the
    map from paths to labellings merges repeats).
    """
    return len(units) + sum(left == right for left, right in pairwise(units))
