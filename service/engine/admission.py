"""Admission: a request that cannot be answered in time is refused at once.

The code here is pure: callers pass the time, read from a monotonic clock. The plan uses the
batcher's order, earliest deadline first. That order meets every deadline if any order does (Liu and
Layland, 1973), so a plan that misses one is a reason to refuse.
"""

import math
import struct
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from itertools import count

_SAFETY = 1.25  # a plan reserves this many times the expected time
_LONGEST_RETRY_S = 120
_BACKLOG_S = 1.0  # with less work than this the machine may be idle at times
_LEAST_THROUGHPUT = 1e-3
_HALF_LIFE_S = 10.0  # of busy time; a change of load or of the machine shows this soon


class Overloaded(Exception):
    """A request cannot be accepted now."""

    def __init__(self, reason: str, retry_s: float) -> None:
        super().__init__(reason)
        self.reason = reason
        """`queue_full` (too much audio waits) or `deadline` (it would be late)."""
        self.retry_s = min(_LONGEST_RETRY_S, max(1, math.ceil(retry_s)))
        """Whole seconds after which the backlog should be short enough."""


class Throughput:
    """Seconds of audio that the machine processes in a second, measured while work waits.

    It is measured from answer to answer, so it has all that a request costs and all that slows the
    machine, whichever stage is the slowest.

    Args:
        guess: its value before anything is measured; it counts as much as one busy second.
    """

    def __init__(self, guess: float) -> None:
        self._audio_s, self._elapsed_s = guess, 1.0
        self._previous: float | None = None

    @property
    def value(self) -> float:
        """Seconds of audio per second, above zero."""
        return max(_LEAST_THROUGHPUT, self._audio_s / self._elapsed_s)

    def observe(self, audio_s: float, now: float, more_waits: bool) -> None:
        """Learn that the work on `audio_s` seconds of audio ended at `now`."""
        if self._previous is not None:
            elapsed = now - self._previous
            kept = 0.5 ** (elapsed / _HALF_LIFE_S)
            self._audio_s = kept * self._audio_s + audio_s
            self._elapsed_s = kept * self._elapsed_s + elapsed
        self._previous = now if more_waits else None


@dataclass(order=True)
class Ticket:
    """A request that was accepted."""

    deadline: float
    number: int
    arrived: float = field(compare=False)
    whole: float = field(compare=False)
    """Seconds of audio in all."""
    done: float = field(default=0.0, compare=False)
    """Seconds of audio that are processed."""

    @property
    def seconds(self) -> float:
        """Seconds of audio that are not processed yet."""
        return max(0.0, self.whole - self.done)

    def progress(self, seconds: float) -> None:
        """So many seconds more are processed."""
        self.done += seconds


class Admission:
    """The accepted requests, and the work that they still need.

    Args:
        throughput: seconds of audio that the machine processes in a second, as far as known.
        allowance_s: a request must be answered within this and the length of its recording.
        most_seconds: seconds of audio that may wait.
    """

    def __init__(self, throughput: float, allowance_s: float, most_seconds: float) -> None:
        self.throughput = Throughput(throughput)
        self._allowance_s = allowance_s
        self._most_seconds = most_seconds
        self._tickets: list[Ticket] = []  # sorted
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def seconds(self) -> float:
        """Seconds of audio that wait or are being processed."""
        return math.fsum(ticket.seconds for ticket in self._tickets)

    @property
    def longest_s(self) -> float:
        """Seconds of the longest accepted recording."""
        return max((ticket.whole for ticket in self._tickets), default=0.0)

    @property
    def backlog_s(self) -> float:
        """Seconds that the machine needs for them."""
        return self.seconds / self.throughput.value

    def admit(self, seconds: float, now: float) -> Ticket:
        """Accept a request of about `seconds` of audio, or raise Overloaded."""
        ticket = self._plan(seconds, now)
        insort(self._tickets, ticket)
        return ticket

    def check(self, seconds: float, now: float) -> None:
        """Raise Overloaded if `admit` would."""
        self._plan(seconds, now)

    def correct(self, ticket: Ticket, seconds: float) -> None:
        """Set the true length of a recording. An accepted request stays accepted."""
        self.release(ticket)
        ticket.whole = seconds
        ticket.deadline = ticket.arrived + self._allowance_s + seconds
        insort(self._tickets, ticket)

    def answered(self, ticket: Ticket, now: float) -> None:
        """Learn from a request whose work is done; it must still be released."""
        self.throughput.observe(ticket.whole, now, self.backlog_s > _BACKLOG_S)

    def release(self, ticket: Ticket) -> None:
        """Remove a request that is answered, or that nobody waits for any more."""
        del self._tickets[bisect_left(self._tickets, ticket)]

    def _plan(self, seconds: float, now: float) -> Ticket:
        waiting = self.seconds
        if waiting and waiting + seconds > self._most_seconds:
            excess = waiting + seconds - self._most_seconds
            raise Overloaded("queue_full", self.backlog_s * min(1.0, excess / waiting))
        deadline = now + self._allowance_s + seconds
        new = Ticket(deadline, next(self._numbers), now, seconds)
        place = bisect_left(self._tickets, new)
        pace = _SAFETY / self.throughput.value
        end = now + pace * math.fsum(ticket.seconds for ticket in self._tickets[:place])
        late = 0.0  # seconds by which this request or one behind it would miss its deadline
        for ticket in (new, *self._tickets[place:]):
            end += pace * ticket.seconds
            late = max(late, end - ticket.deadline)
        if late > 0:
            raise Overloaded("deadline", late)
        return new


_BYTES_PER_SECOND = {"wav": 32_000.0, "flac": 18_000.0, "ogg": 4_000.0, "other": 8_000.0}


class Estimator:
    """Estimates the length of a recording before it is decoded, from its size and its header."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._rates = dict(_BYTES_PER_SECOND)

    def __call__(self, body: bytes) -> float:
        """Estimated seconds, at most the longest recording that is accepted."""
        return self.of(body, len(body))

    def of(self, head: bytes, size: int) -> float:
        """The same of a recording of `size` bytes that begins with `head`."""
        kind = _kind(head)
        stated = _stated_seconds(head, kind, size)
        seconds = size / self._rates[kind] if stated is None else stated
        return min(self._longest_s, seconds)

    def learn(self, body: bytes, seconds: float) -> None:
        """Learn the true length of a recording."""
        if seconds > 0:
            kind = _kind(body)
            self._rates[kind] += 0.1 * (len(body) / seconds - self._rates[kind])


def _kind(body: bytes) -> str:
    magic = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg"}
    return magic.get(body[:4], "other")


def _stated_seconds(head: bytes, kind: str, size: int) -> float | None:
    """Seconds according to the header of wav and flac; None if it does not say."""
    if kind == "wav" and head[12:16] == b"fmt " and len(head) >= 32:
        (rate,) = struct.unpack_from("<I", head, 28)
        return size / rate if rate else None
    if kind == "flac" and len(head) >= 26:
        packed = int.from_bytes(head[18:26], "big")  # 20 bits rate, 3, 5, 36 bits samples
        rate, samples = packed >> 44, packed & (2**36 - 1)
        return samples / rate if rate and samples else None
    return None
