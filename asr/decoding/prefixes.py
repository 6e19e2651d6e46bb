"""The prefixes in a beam, and the step that takes them over one more frame.

A prefix is a row of units without blanks. Its acoustic score sums all CTC paths that spell it,
those that end in a blank apart from those that end in its last unit (Graves et al., 2006; Hannun
et al., 2014).

Shapes: B batch, K beams, C columns of a frame, V units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from asr.decoding.frames import Frame
from asr.decoding.fusion import Knowledge, Selection
from asr.text import BLANK

_HASH = -7_046_029_254_386_353_131  # 2 ** 64 / golden ratio, as a signed odd number
_NO_PREFIX = -1


@dataclass(frozen=True)
class Prefixes:
    """The prefixes kept so far, `(B, K)` each, the best first; scores are -inf where none is."""

    blank: Tensor
    """Natural log of the mass of the paths that end in a blank."""
    spoken: Tensor
    """The same of those that end in the last unit."""
    language: Tensor
    """What language adds so far."""
    last: Tensor
    """Last unit; of an empty prefix the blank."""
    hash: Tensor
    """By which equal prefixes are known."""
    shorter: Tensor
    """Hash of the units but the last."""
    known: tuple[Knowledge, ...]
    """What prefixes are judged by besides the lattice."""

    @classmethod
    def start(
        cls, batch: int, size: int, known: Sequence[Knowledge], device: torch.device
    ) -> "Prefixes":
        """The empty prefix of every utterance."""
        nothing = torch.full((batch, size), -math.inf, device=device)
        blank = nothing.clone()
        blank[:, 0] = 0.0
        empty = torch.zeros((batch, size), dtype=torch.int64, device=device)
        language = torch.zeros_like(blank)
        return cls(blank, nothing, language, empty, empty, empty + _NO_PREFIX, tuple(known))

    def rows(self, rows: slice) -> "Prefixes":
        """Those of some of the utterances."""
        return Prefixes(
            blank=self.blank[rows],
            spoken=self.spoken[rows],
            language=self.language[rows],
            last=self.last[rows],
            hash=self.hash[rows],
            shorter=self.shorter[rows],
            known=tuple(one.rows(rows) for one in self.known),
        )

    def step(self, frame: Frame) -> "tuple[Prefixes, Selection]":
        """The best prefixes after one more frame, and where they come from."""
        grown, stay_blank, stay_spoken = self._grown(frame)
        language = self.language[:, :, None]  # (B, K, 1) or (B, K, C)
        advances = []
        for one in self.known:
            gain, advance = one.extend(frame)
            language = language + gain
            advances.append(advance)
        language = language.expand_as(grown)
        size, columns = grown.shape[1:]
        score, cell = (grown + language).flatten(1).topk(size)
        parent = cell // columns
        unit = frame.units.gather(1, cell - parent * columns)
        selection = Selection(parent, cell, unit)
        extended = unit != BLANK
        of_parent, of_cell = selection.of_parent, selection.of_cell
        hashed = of_parent(self.hash)
        shorter = torch.where(extended, hashed, of_parent(self.shorter))
        kept = Prefixes(
            blank=torch.where(extended, -math.inf, of_parent(stay_blank)),
            spoken=torch.where(extended, of_cell(grown), of_parent(stay_spoken)),
            language=of_cell(language),
            last=torch.where(extended, unit, of_parent(self.last)),
            hash=torch.where(extended, hashed * _HASH + unit, hashed),
            # A place without a prefix must not be taken for one that another prefix grows from.
            shorter=torch.where(score > -math.inf, shorter, _NO_PREFIX),
            known=tuple(advance(selection) for advance in advances),
        )
        return kept, selection

    def without_twins(self) -> "Prefixes":
        """The prefixes without those that have a better twin, where the beam is full.

        Twins are told apart by nothing that may follow: they end in the same unit and are in the
        same state of all knowledge. The one that is behind stays behind.
        """
        future = self.last
        for one in self.known:
            future = future * _HASH + one.future()
        twins = (future[:, :, None] == future[:, None, :]).tril_(-1)  # (B, K, K)
        full = torch.maximum(self.blank, self.spoken)[:, -1:] > -math.inf
        gone = twins.any(dim=2) & full
        blank = self.blank.masked_fill(gone, -math.inf)
        return replace(self, blank=blank, spoken=self.spoken.masked_fill(gone, -math.inf))

    def _grown(self, frame: Frame) -> tuple[Tensor, Tensor, Tensor]:
        """Mass of all prefixes that the frame may end in, equal ones merged.

        Returns:
            `(B, K, C)` of each prefix extended by each unit, and, in the blank's column, as it was;
            of the latter `(B, K)` the mass of paths that end in a blank, and in the last unit.
        """
        total = torch.logaddexp(self.blank, self.spoken)
        # A unit may follow itself only over a blank.
        repeatable = torch.where(frame.gap, total, self.blank)
        last_score = frame.scores.gather(1, self.last)
        stay_blank = total + frame.scores[:, BLANK, None]
        stay_spoken = torch.where(frame.gap, -math.inf, self.spoken) + last_score
        grown = total[:, :, None] + frame.chosen[:, None, :]  # (B, K, C)
        column = frame.column.gather(1, self.last)
        grown.scatter_(2, column[:, :, None], (repeatable + last_score)[:, :, None])
        grown[:, :, BLANK] = -math.inf
        # Where a prefix's shorter one is in the beam too, the one grows into the other.
        grows = self.shorter[:, :, None] == self.hash[:, None, :]  # (B, K, K)
        found, source = grows.max(dim=2)
        cell = torch.where(found, source * grown.shape[2] + column, 0)
        cells = grown.flatten(1)
        stay_spoken = torch.logaddexp(stay_spoken, cells.gather(1, cell))
        cells.scatter_(1, cell, -math.inf)
        grown[:, :, BLANK] = torch.logaddexp(stay_blank, stay_spoken)
        return grown, stay_blank, stay_spoken

    def finish(self) -> tuple[Tensor, Tensor]:
        """`(B, K)` acoustic scores, and what language adds in all."""
        language = self.language
        for one in self.known:
            language = language + one.finish()
        return torch.logaddexp(self.blank, self.spoken), language
