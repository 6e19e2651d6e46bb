"""One recording on its way through the device."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from asr.audio import SAMPLE_RATE
from asr.transcript import Segment, Transcript, Word
from service.engine.batcher import BACKGROUND, Item
from service.engine.decode_pool import ChannelAudio


@dataclass(frozen=True)
class KnownText:
    """What is said in a recording: the times of its words are wanted."""

    text: str


How: TypeAlias = dict[str, Any] | KnownText
"""What is done with a recording: options of `Recognizer.transcribe`, or the text to align."""


class RecordingFailed(Exception):
    """The device fails on this recording; the text, for the log, is without a caller's words."""


class DeviceLost(Exception):
    """The device process ended and cannot be restarted for now; a later try may succeed."""


@dataclass(eq=False)
class Task:
    """One recording, or one channel of one, on its way through the device."""

    id: int
    audio: ChannelAudio
    options: How
    deadline: float
    """When it must be answered; infinite if nobody waits for it."""
    kept: Path | None
    """Prefix of the files in which the device keeps the log-probabilities of its windows, where
    there are several, so that they are not computed again."""
    on_progress: Callable[[float], None]
    """Called with the seconds of the recording that another batch has taken through the model."""
    on_segments: Callable[[list[Segment]], None] | None
    """Called with segments as soon as they are known, where there are several windows; without it
    the words are searched for when all windows are done."""
    transcript: "asyncio.Future[Transcript]"
    windows: list[tuple[int, int]] = field(default_factory=list)
    """Samples `[start, stop)` of each that is known."""
    done: set[int] = field(default_factory=set)
    """Windows whose log-probabilities the device process holds."""
    read: int = 0
    """Windows whose words were searched for."""
    segments: list[Segment] = field(default_factory=list)
    """What was found in them."""
    passed_on: int = 0
    """Segments that `on_segments` was called with."""
    is_searched: bool = False
    """Whether a search in the windows that follow is under way or waits."""
    crashes: int = 0
    """How often the process died during the search for its words."""
    added: float = field(default_factory=time.monotonic)
    started: float = math.nan
    """When its first window went to the device."""
    model_done: float = math.nan
    """When all its windows had been run."""

    @property
    def is_background(self) -> bool:
        """Whether nobody waits for it."""
        return self.deadline == math.inf

    @property
    def is_long(self) -> bool:
        """Whether it has several windows, as far as known."""
        return len(self.windows) > 1 or not self.audio.is_whole

    @property
    def is_partial(self) -> bool:
        """Whether its words are searched for while its windows are done."""
        return self.on_segments is not None and self.is_long

    @property
    def is_run(self) -> bool:
        """Whether all its windows are done, and no more come."""
        return self.audio.is_whole and len(self.done) == len(self.windows)

    @property
    def ready(self) -> int:
        """Windows that are done before the first that is not."""
        return next(index for index in range(len(self.windows) + 1) if index not in self.done)

    def restart(self) -> None:
        """All that the device held of it is lost."""
        self.done.clear()
        self.read, self.is_searched = 0, False
        self.segments.clear()

    def take(self, segments: list[Segment], stop: int) -> None:
        """Take the segments found in the windows up to `stop`, and pass on those that are new."""
        self.read, self.is_searched = stop, False
        self.segments += segments
        new = self.segments[self.passed_on :]
        if new and self.on_segments is not None:
            self.passed_on += len(new)
            self.on_segments(new)

    def whole(self) -> Transcript:
        """The transcript, once all windows are searched."""
        words: list[Word] = [word for segment in self.segments for word in segment.words]
        return Transcript.of(words, self.audio.seconds)

    def share(self, index: int) -> float:
        """The seconds that a window adds to those before it."""
        before = self.windows[index - 1][1] if index else 0
        return (self.windows[index][1] - before) / SAMPLE_RATE

    def item(self, index: int) -> Item:
        """A window, as the batcher takes it.

        Recordings that nobody waits for have turns: first the first windows of all of them.
        """
        start, stop = self.windows[index]
        due = BACKGROUND + start / SAMPLE_RATE if self.is_background else self.deadline
        return Item(due, self.id, index, (stop - start) / SAMPLE_RATE)
