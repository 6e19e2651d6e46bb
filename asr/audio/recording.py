"""A recording that is read piece by piece, however long it is."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from asr.audio.level import Meter, changed
from asr.audio.limits import Limits
from asr.audio.load import Audio, stream
from asr.audio.pieces import Samples
from asr.audio.sources import Plain
from asr.options import Selection

_PIECE = 2**17
"""Samples of loaded audio at a time."""


@dataclass(frozen=True)
class Recording:
    """The selected sound of a source that may be read several times; errors come while it is."""

    source: Plain | Audio
    selection: Selection = field(default_factory=Selection)
    limits: Limits = Limits()
    watch: Callable[[Iterator[Samples]], Iterator[Samples]] = iter
    """All pieces pass through it, also those that are only measured."""
    name: str | None = None
    """As of `load`."""

    def load(self) -> tuple[Audio, ...]:
        """Its channels, all in memory; each has its own level."""
        return Audio.apart(self.pieces())

    def channels(self) -> int:
        """How many channels are read, each by itself."""
        with closing(self.pieces()) as pieces:
            return next((piece.shape[1] for piece in pieces), 1)

    def channel(self, index: int) -> Generator[NDArray[np.float32]]:
        """The samples `(S,)` of one channel at their level, in pieces.

        A recording that is too quiet is read twice, since its level is that of the whole.
        """
        change = self._change(index)
        with closing(self.pieces()) as pieces:
            for piece in pieces:
                yield changed(np.ascontiguousarray(piece[:, index]), *change)

    def _change(self, index: int) -> tuple[float, float]:
        meter = Meter()
        with closing(self.pieces()) as pieces:
            for piece in pieces:
                meter.add(piece[:, index])
                if meter.is_loud:
                    break
        return meter.change()

    def pieces(self) -> Generator[Samples]:
        """All of it, `(S, channels)`."""
        yield from self.watch(self._read())

    def _read(self) -> Generator[Samples]:
        if not isinstance(self.source, Audio):
            yield from stream(self.source, self.limits, self.name, self.selection)
            return
        samples = self.source.samples[:, np.newaxis]
        yield from (samples[at : at + _PIECE] for at in range(0, len(samples), _PIECE))
