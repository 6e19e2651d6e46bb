"""How much audio each API key had today, and whether it may have more.

A day begins at midnight UTC. A recording that begins within the limit is read whole. What a service
counts itself is kept apart from what keys had elsewhere: by jobs, before a restart, from other
replicas.
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
        self._elsewhere: dict[str, Used] = {}

    @property
    def day(self) -> int:
        """Today, in days since 1970."""
        return int(self._clock() // _DAY_S)

    def of(self, key: str) -> Used:
        """What a key had today."""
        here, elsewhere = self._today().get(key, Used()), self._elsewhere.get(key, Used())
        return Used(here.recordings + elsewhere.recordings, here.seconds + elsewhere.seconds)

    def add(self, key: str, seconds: float) -> None:
        """A key had a recording of so many seconds."""
        _count(self._today(), key, seconds)

    def add_elsewhere(self, key: str, seconds: float) -> None:
        """As `add`, of what is kept already."""
        self._today()
        _count(self._elsewhere, key, seconds)

    def check(self, key: str, waiting_s: float = 0.0) -> None:
        """Raise ApiError (429) if a key has had its seconds, with those of its jobs that wait."""
        if self.most_seconds and self.of(key).seconds + waiting_s >= self.most_seconds:
            wait = math.ceil(_DAY_S * (self.day + 1) - self._clock())
            jobs = ", or its jobs will have them" if waiting_s else ""
            raise ApiError(
                429,
                f"This key has had its {self.most_seconds:g} seconds of audio for today{jobs}: try "
                "again tomorrow (UTC).",
                code="audio_used_up",
                headers={"retry-after": str(max(1, wait)), "x-should-retry": "false"},
            )

    def kept(self) -> list[tuple[str, int, float]]:
        """Key, recordings and seconds of what was counted here, to be kept."""
        return [(key, used.recordings, used.seconds) for key, used in self._today().items()]

    def set_elsewhere(self, day: int, kept: Iterable[tuple[str, int, float]]) -> None:
        """What keys had elsewhere, on a day: key, recordings and seconds."""
        self._today()
        if day == self._day:
            self._elsewhere = {key: Used(recordings, seconds) for key, recordings, seconds in kept}

    def _today(self) -> dict[str, Used]:
        if self.day != self._day:
            self._day, self._used, self._elsewhere = self.day, {}, {}
        return self._used


def _count(used: dict[str, Used], key: str, seconds: float) -> None:
    one = used.setdefault(key, Used())
    one.recordings += 1
    one.seconds += seconds
