"""Segments of several channels -> one order of time, while they come."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeAlias

from asr.transcript import Segment

OnSegment: TypeAlias = Callable[[Segment], None]
"""Takes the segments of a recording, one after another, in the order of its transcript."""


class InOrder:
    """Passes on the segments of all channels in the order of their starts.

    A segment waits until each other channel has a later one, since a channel may still have an
    earlier one. What waits at the end is in the transcript.

    Args:
        channels: how many there are; if there are several, segments name theirs, counted from 1.
    """

    def __init__(self, channels: int, on_segment: OnSegment) -> None:
        self._waiting: list[deque[Segment]] = [deque() for _ in range(channels)]
        self._on_segment = on_segment

    def add(self, channel: int, segments: Iterable[Segment]) -> None:
        """Take the next segments of a channel, counted from 0."""
        several = len(self._waiting) > 1
        self._waiting[channel].extend(
            _of_channel(segment, channel + 1) if several else segment for segment in segments
        )
        while all(self._waiting):
            earliest = min(self._waiting, key=lambda waiting: waiting[0].start)
            self._on_segment(earliest.popleft())


def _of_channel(segment: Segment, channel: int) -> Segment:
    return Segment(tuple(replace(word, channel=channel) for word in segment.words))
