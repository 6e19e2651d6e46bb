"""One recording on its way through the device."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from asr.audio import SAMPLE_RATE
from asr.transcript import Transcript
from service.batcher import Item
from service.decoding import Sound


class Broken(Exception):
    """The device cannot read this recording, or cannot be started."""


@dataclass(eq=False)
class Job:
    """One recording, or one channel of one, on its way through the device."""

    id: int
    sound: Sound
    options: dict[str, Any]
    deadline: float
    windows: Sequence[tuple[int, int]]
    """Samples `[start, stop)` of each."""
    ran: Callable[[float], None]
    """Told of seconds of the recording that are through the model."""
    transcript: "asyncio.Future[Transcript]"
    done: set[int] = field(default_factory=set)
    """Windows whose log-probabilities the process has."""
    tries: int = 0
    """Readings during which the process died."""
    added: float = field(default_factory=time.monotonic)
    began: float = math.nan
    """When its first window went to the device."""
    read: float = math.nan
    """When all its windows had been run."""

    def item(self, index: int) -> Item:
        """A window as the batcher knows it."""
        start, stop = self.windows[index]
        return Item(self.deadline, self.id, index, (stop - start) / SAMPLE_RATE)
