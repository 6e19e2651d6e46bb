"""How much audio each API key had today, and whether it may have more.

A day begins at midnight UTC. A recording that begins within the limit is read whole.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from service.errors import ApiError

_DAY_S = 86_400


@dataclass
class Used:
    """What a key had today."""

    recordings: int = 0
    seconds: float = 0.0
    """Of audio; those of channels that were read each by itself add up."""


class Usage:
    """The usage of every key.

    Args:
        most_seconds: seconds of audio that a key may have in a day; 0 for no limit.
        clock: seconds since 1970.
    """

    def __init__(self, most_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self.most_seconds = most_seconds
        self._clock = clock
        self._day = 0
        self._used: dict[str, Used] = {}

    @property
    def day(self) -> int:
        """Today, in days since 1970."""
        return int(self._clock() // _DAY_S)

    def of(self, key: str) -> Used:
        """What a key had today."""
        return self._today().get(key, Used())

    def add(self, key: str, seconds: float) -> None:
        """A key had a recording of so many seconds."""
        used = self._today().setdefault(key, Used())
        used.recordings += 1
        used.seconds += seconds

    def check(self, key: str, waiting_s: float = 0.0) -> None:
        """Raise ApiError (429) if a key has had its seconds, with those of its jobs that wait."""
        if self.most_seconds and self.of(key).seconds + waiting_s >= self.most_seconds:
            wait = math.ceil(_DAY_S * (self.day + 1) - self._clock())
            raise ApiError(
                429,
                f"This key has had its {self.most_seconds:g} seconds of audio for today, or its "
                "jobs will have them: try again tomorrow (UTC).",
                code="audio_used_up",
                headers={"retry-after": str(max(1, wait)), "x-should-retry": "false"},
            )

    def kept(self) -> list[tuple[str, int, int, float]]:
        """Key, day, recordings and seconds of each, to be kept."""
        return [
            (key, self._day, used.recordings, used.seconds) for key, used in self._today().items()
        ]

    def restore(self, kept: Iterable[tuple[str, int, int, float]]) -> None:
        """Go on with what `kept` gave, as far as it is of today."""
        today = self._today()
        for key, day, recordings, seconds in kept:
            if day == self._day:
                used = today.setdefault(key, Used())
                used.recordings += recordings
                used.seconds += seconds

    def _today(self) -> dict[str, Used]:
        if self.day != self._day:
            self._day, self._used = self.day, {}
        return self._used
