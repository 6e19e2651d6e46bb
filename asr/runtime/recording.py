"""A recording that is read piece by piece, however long it is."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from asr.audio import SAMPLE_RATE, Audio, Meter, changed, stream
from asr.audio.pieces import Samples
from asr.audio.sources import Plain
from asr.options import Selection
from asr.runtime.engine import Wave
from asr.runtime.reader import Length

_PIECE = 2**17
"""Samples of loaded audio at a time."""


@dataclass(frozen=True)
class Recording:
    """The selected sound of a source that may be read several times; errors come while it is."""

    source: Plain | Audio
    selection: Selection = field(default_factory=Selection)

    def load(self) -> tuple[Audio, ...]:
        """Its channels, all in memory; each has its own level."""
        return Audio.apart(self._pieces())

    def channels(self) -> int:
        """How many channels are read, each by itself."""
        with closing(self._pieces()) as pieces:
            return next((piece.shape[1] for piece in pieces), 1)

    def channel(self, index: int, length: Length) -> Generator[Wave]:
        """The samples of one channel at their level, in pieces; `length` is known after the last.

        A recording that is too quiet is read twice, since its level is that of the whole.
        """
        change = self._change(index)
        samples = 0
        with closing(self._pieces()) as pieces:
            for piece in pieces:
                samples += len(piece)
                yield changed(np.ascontiguousarray(piece[:, index]), *change)
        length.seconds = samples / SAMPLE_RATE

    def _change(self, index: int) -> tuple[float, float]:
        meter = Meter()
        with closing(self._pieces()) as pieces:
            for piece in pieces:
                meter.add(piece[:, index])
                if meter.is_loud:
                    break
        return meter.change()

    def _pieces(self) -> Generator[Samples]:
        if not isinstance(self.source, Audio):
            yield from stream(self.source, selection=self.selection)
            return
        samples = self.source.samples[:, np.newaxis]
        yield from (samples[at : at + _PIECE] for at in range(0, len(samples), _PIECE))
