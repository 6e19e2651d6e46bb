"""What a beam search reads of a lattice: frames that say something, and the units likely there.

Shapes: B batch, U frames of the lattice, T frames that are read, V units, C columns: the units that
are tried, with the blank in front.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, fields
from operator import neg

import torch
from torch import Tensor

from asr.decoding.settings import BeamSettings
from asr.text import BLANK

_LEAST = -1e4  # stands for a log-probability of -inf, which no subtraction could bear


@dataclass(frozen=True)
class Frame:
    """One frame of every utterance; where an utterance is over, a certain blank."""

    scores: Tensor
    """`(B, V)` log-probabilities, the highest of a frame set to 0."""
    units: Tensor
    """`(B, C)` int64: the units that are tried; the first column is the blank."""
    column: Tensor
    """`(B, V)` int64: the column of each unit in `units`, 0 if it is not tried."""
    chosen: Tensor
    """`(B, C)` the scores of `units`, -inf where nothing is tried: so for the blank."""
    parting: Tensor
    """`(B, C)` 1 for units that part words, 0 for others."""
    ending: Tensor
    """`(B, 1)` bool: a unit that parts words is tried."""
    gap: Tensor
    """`(B, 1)` bool: blanks were passed over before this frame."""


@dataclass(frozen=True)
class Frames:
    """The frames of a batch that are read, those of longer utterances first."""

    order: Tensor
    """`(B,)` the utterance of each row."""
    counts: list[int]
    """Frames of each row, descending."""
    stacked: Frame
    """All frames, `(T, B, ...)` each."""
    offset: Tensor
    """`(B,)` float64: what the scores of a row leave out of the log-probability of any path."""

    @classmethod
    def of(
        cls, log_probs: Tensor, lengths: Tensor, parts: Tensor, settings: BeamSettings
    ) -> "Frames":
        """The frames of lattices `(B, U, V)` with their lengths `(B,)`.

        A frame whose blank reaches `settings.blank_skip` is passed over: it counts as a blank and
        nothing else (Chen et al., Phone synchronous decoding with CTC lattice, 2016).

        Args:
            parts: `(V,)` bool: the units that part words.
        """
        within = torch.arange(log_probs.shape[1], device=log_probs.device) < lengths[:, None]
        blank = log_probs[:, :, BLANK].float()  # (B, U)
        skip = math.log(settings.blank_skip) if settings.blank_skip < 1.0 else math.inf
        read = within & ~(blank >= skip)
        passed = torch.where(within & ~read, blank, 0.0).sum(dim=1, dtype=torch.float64)
        counts, order = read.sum(dim=1).sort(descending=True, stable=True)
        longest = int(counts[0]) if len(counts) else 0
        index = torch.argsort((~read[order]).byte(), dim=1, stable=True)[:, :longest]  # (B, T)
        scores = log_probs[order[:, None], index].float().clamp(min=_LEAST)  # (B, T, V)
        real = (torch.arange(longest, device=counts.device) < counts[:, None])[:, :, None]
        highest = torch.where(real, scores.amax(dim=2, keepdim=True), 0.0)  # (B, T, 1)
        over = torch.full_like(scores[:1, :1], -math.inf)
        over[..., BLANK] = 0.0
        scores = torch.where(real, scores - highest, over)
        gap = index.diff(dim=1, prepend=index[:, :1]) > 1
        return cls(
            order=order,
            counts=counts.tolist(),
            # (B, T, ...) -> (T, B, ...)
            stacked=_stacked(scores.transpose(0, 1).contiguous(), gap.t(), parts, settings),
            offset=passed[order] + highest.sum(dim=(1, 2), dtype=torch.float64),
        )

    def runs(self) -> Iterator[tuple[int, Iterator[Frame]]]:
        """How many rows are read on, and frames of these; so on until all are read.

        Rows leave when one in eight is over, since leaving has a price too.
        """
        first, rows = 0, len(self.counts)
        while rows and first < self.counts[0]:
            rows = bisect_left(self.counts, -first, hi=rows, key=neg)
            stay = rows - rows // 8  # the run ends with the last row that must be over by then
            end = self.counts[stay - 1]
            columns = (getattr(self.stacked, field.name) for field in fields(Frame))
            cut = [column[first:end, :rows].unbind(0) for column in columns]
            yield rows, (Frame(*frame) for frame in zip(*cut, strict=True))
            first = end


def _stacked(scores: Tensor, gap: Tensor, parts: Tensor, settings: BeamSettings) -> Frame:
    """All frames, from scores `(T, B, V)` and gaps `(T, B)`."""
    units = scores[:, :, BLANK + 1 :]
    if settings.choices < units.shape[2]:
        units = units.topk(settings.choices, dim=2).indices + BLANK + 1
    else:
        units = torch.arange(BLANK + 1, scores.shape[2], device=scores.device).expand(units.shape)
    units = torch.nn.functional.pad(units, (1, 0), value=BLANK)  # (T, B, C)
    chosen = scores.gather(2, units)
    tried = (chosen >= -settings.reach) & (units != BLANK)
    order = torch.arange(units.shape[2], device=units.device) * tried
    column = torch.zeros(scores.shape, dtype=torch.int64, device=units.device)
    parting = parts[units]
    return Frame(
        scores=scores,
        units=units,
        column=column.scatter_(2, units, order),
        chosen=torch.where(tried, chosen, -math.inf),
        parting=parting.float(),
        ending=(parting & tried).any(dim=2, keepdim=True),
        gap=gap[:, :, None],
    )
