"""How many live sessions there may be."""

import contextlib
from collections.abc import Callable, Iterator

from service.errors import ApiError
from service.monitoring.metrics import Metrics

COST = 16.0
"""Seconds of audio that a session has read in a second in which somebody speaks: some 5 s, of which
4 s are context, every 0.4 s, and some to spare."""


class Sessions:
    """The open live sessions.

    Args:
        most: how many there may be; None for as many as the throughput allows.
        throughput: seconds of audio that the machine reads in a second.
    """

    def __init__(self, most: int | None, throughput: Callable[[], float], metrics: Metrics) -> None:
        self._most = most
        self._throughput = throughput
        self._metrics = metrics
        self._open = 0

    @property
    def most(self) -> int:
        """How many there may be now."""
        return max(1, int(self._throughput() / COST)) if self._most is None else self._most

    @contextlib.contextmanager
    def one_more(self) -> Iterator[None]:
        """Count a session while it is open; ApiError (503) if there are too many."""
        if self._open >= self.most:
            raise ApiError(
                503,
                f"There are {self._open} live sessions, as many as this service can follow: try "
                "again in 10 seconds.",
                code="too_many_sessions",
                headers={"retry-after": "10"},
            )
        self._set(self._open + 1)
        try:
            yield
        finally:
            self._set(self._open - 1)

    def _set(self, count: int) -> None:
        self._open = count
        self._metrics.live.set(count)
