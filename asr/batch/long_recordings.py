"""Long recordings in a pipeline: each is read by itself, window by window, and may go on where a
stopped job left it."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from asr.batch.decoders import Decoder, Long
from asr.batch.inputs import Input
from asr.batch.stores import Version
from asr.batch.work import Work
from asr.errors import BadAudio
from asr.transcript import Transcript

if TYPE_CHECKING:
    from asr.options import Options
    from asr.runtime import Recognizer
    from asr.runtime.kept import KeptRow

Heard: TypeAlias = Callable[[Input, Transcript], None]
Keep: TypeAlias = Callable[[Input, Version], Path]
"""The folder for what is made of a long recording until its result is finished."""


@dataclass(frozen=True)
class LongRecordings:
    """Reads long recordings."""

    recognizer: "Recognizer"
    options: "Options"
    start: float
    """Seconds from which recordings are read."""
    window_seconds: float
    """What a window adds to those before it."""
    keep: Keep | None
    heard: Heard | None

    def read(self, reader: Decoder, work: Work) -> Work:
        """The work with its transcript, or with the reason why there is none."""
        assert isinstance(work.content, Long) and work.version is not None
        work = replace(work, kept=self.keep and self.keep(work.input, work.version))
        before, used = _names(work.kept), set[str]()
        said = reader.trying(work.input, partial(self._channels, reader, work, used))
        if isinstance(said, str):
            return work.with_(said)
        if (change := work.change) is not None:
            return work.with_(change)
        together = Transcript.together(said, self.start)
        skipped = len(before & used) / len(said) * self.window_seconds
        return replace(work, content=together, skipped=min(skipped, together.duration))

    def _channels(self, reader: Decoder, work: Work, used: set[str]) -> list[Transcript] | str:
        """The transcripts of a recording's channels, or why there are none.

        Args:
            used: gets the names of the files of its windows.
        """
        assert isinstance(work.content, Long)
        said: list[Transcript] = []
        heard = self.heard and partial(self._tell, self.heard, work, said)
        for channel in range(work.content.channels):
            kept = None
            if work.kept is not None:
                kept = partial(self._kept, work.kept / str(channel), used)
            with closing(reader.pieces(work.input, channel, work.file)) as pieces:
                waves = (piece.samples for piece in pieces)
                try:
                    said.append(self.recognizer.read_waves(waves, self.options, kept, heard))
                except BadAudio as error:
                    return str(error)
        return said

    def _kept(self, prefix: Path, used: set[str], window: int) -> "KeptRow":
        row = self.recognizer.kept(prefix, window)
        used.add(row.path.name)
        return row

    def _tell(
        self, heard: Heard, work: Work, said: Sequence[Transcript], so_far: Transcript
    ) -> None:
        """Tells what is known of a recording of which some channels are read."""
        assert isinstance(work.content, Long)
        unread = [Transcript.of((), 0.0)] * (work.content.channels - len(said) - 1)
        heard(work.input, Transcript.together([*said, so_far, *unread], self.start))


def _names(folder: Path | None) -> set[str]:
    """Of the files in a folder; none if there is none."""
    with suppress(OSError):
        return set(os.listdir(folder)) if folder is not None else set()
    return set()
