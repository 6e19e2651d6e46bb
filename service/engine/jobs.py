"""One recording on its way through the device."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from asr.audio import SAMPLE_RATE
from asr.transcript import Transcript
from service.engine.batcher import Item
from service.engine.decode_pool import ChannelAudio


class RecordingFailed(Exception):
    """The device fails on this recording."""


class DeviceLost(Exception):
    """The device process ended and cannot be restarted for now; a later try may succeed."""


@dataclass(eq=False)
class Job:
    """One recording, or one channel of one, on its way through the device."""

    id: int
    audio: ChannelAudio
    options: dict[str, Any]
    deadline: float
    windows: Sequence[tuple[int, int]]
    """Samples `[start, stop)` of each."""
    on_progress: Callable[[float], None]
    """Called with the seconds of the recording that another batch has taken through the model."""
    transcript: "asyncio.Future[Transcript]"
    done: set[int] = field(default_factory=set)
    """Windows whose log-probabilities the device process holds."""
    crashes: int = 0
    """How often the process died during the search for its words."""
    added: float = field(default_factory=time.monotonic)
    started: float = math.nan
    """When its first window went to the device."""
    model_done: float = math.nan
    """When all its windows had been run."""

    def item(self, index: int) -> Item:
        """A window, as the batcher takes it."""
        start, stop = self.windows[index]
        return Item(self.deadline, self.id, index, (stop - start) / SAMPLE_RATE)
