"""Who is let in: a request that would not be answered in time is refused at once.

Pure: whoever calls says what time it is, by a clock that never goes back. Time on the machine is
planned as the batcher works, oldest deadline first; that order meets every deadline if any order
does (Liu and Layland, 1973), so a plan that fails is a reason to refuse.
"""

import math
import struct
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

_CAUTION = 1.25  # a plan leaves so much more time than the work is thought to take
_LONGEST_RETRY_S = 120
_FIRST_GUESS = (0.01, 0.01)
_RECKONED_EVERY_S = 0.5
_BACKLOG_S = 1.0  # with less to do the machine may stand idle in between
_SLOW_FADE = 0.99
_FADE = 0.97  # of what was learnt, per observation: a load's character shows within some thirty


class Overloaded(Exception):
    """There is no room for a request."""

    def __init__(self, reason: str, retry_s: float) -> None:
        super().__init__(reason)
        self.reason = reason
        """`queue_full` (too much sound waits) or `deadline` (it would be late)."""
        self.retry_s = min(_LONGEST_RETRY_S, max(1, math.ceil(retry_s)))
        """Whole seconds after which the backlog will have made room."""


class Cost:
    """Seconds of time that `n` seconds of sound take, learnt as `slope * n + fixed`.

    Least squares, where old observations fade; the first guess is worth two of them.
    """

    def __init__(self, slope: float, fixed: float) -> None:
        self._weight = self._n = self._t = self._nn = self._nt = 0.0
        for n in (1.0, 30.0):
            self.observe(n, slope * n + fixed)

    def observe(self, n: float, seconds: float) -> None:
        """Learn that `n` seconds of sound took `seconds`."""
        self._weight = _FADE * self._weight + 1
        self._n = _FADE * self._n + n
        self._t = _FADE * self._t + seconds
        self._nn = _FADE * self._nn + n * n
        self._nt = _FADE * self._nt + n * seconds
        spread = self._weight * self._nn - self._n**2
        slope = 0.0
        if spread > 1e-6 * self._weight * self._nn:  # else all were of one length
            slope = (self._weight * self._nt - self._n * self._t) / spread
        fixed = (self._t - slope * self._n) / self._weight
        if slope <= 0 or fixed < 0:  # noise: a line through the origin explains it as well
            slope, fixed = self._t / self._n, 0.0
        self.slope, self.fixed = slope, fixed

    def __call__(self, n: float) -> float:
        """What `n` seconds of sound will take."""
        return self.slope * n + self.fixed


class Stages:
    """What sound costs on its way: decoded, run through the model, read as words.

    The stages work side by side, so the machine takes in as much as the slowest of them.
    """

    def __init__(self, lanes: Mapping[str, int]) -> None:
        self._costs: dict[str, tuple[Cost, int]] = {}
        for stage, at_a_time in lanes.items():
            self.add(stage, at_a_time)

    def add(self, stage: str, lanes: int) -> None:
        """There is such a stage, which does so many things at a time."""
        self._costs[stage] = (Cost(*_FIRST_GUESS), lanes)

    def observe(self, stage: str, n: float, seconds: float) -> None:
        """Learn that a lane of `stage` took `seconds` for `n` padded seconds of sound."""
        self._costs[stage][0].observe(n, seconds)

    def __call__(self, n: float) -> float:
        """Seconds of the machine's time that `n` seconds of sound will take."""
        return max(cost(n) / lanes for cost, lanes in self._costs.values())


class Pace:
    """How many times as long work takes as its stages' costs say, seen while work waits.

    The stages share a machine, with each other and with strangers, which no stage sees by itself.
    """

    def __init__(self) -> None:
        self._taken = self._worked = 1.0
        self._before: float | None = None

    @property
    def factor(self) -> float:
        """At most four times more or less."""
        return min(4.0, max(0.25, self._taken / self._worked))

    def done(self, work: float, now: float, more_waits: bool) -> None:
        """So much work is done, as it was reckoned."""
        if self._before is not None:
            self._taken = _SLOW_FADE * self._taken + now - self._before
            self._worked = _SLOW_FADE * self._worked + work
        self._before = now if more_waits else None


@dataclass(order=True)
class Ticket:
    """A request that was let in."""

    deadline: float
    number: int
    arrived: float = field(compare=False)
    seconds: float = field(compare=False)
    """Of sound that is still to be worked on."""
    work: float = field(compare=False)
    """Seconds of the machine's time that this takes, but for the machine's pace."""
    whole: float = field(compare=False)
    """Seconds of sound in all."""


class Admission:
    """The requests that are in, and what they ask of the machine.

    Args:
        work: seconds of the machine's time that so many seconds of sound take.
        allowance_s: a request is to be answered within this, and its recording's length.
        most_seconds: of sound that may wait.
    """

    def __init__(
        self, work: Callable[[float], float], allowance_s: float, most_seconds: float
    ) -> None:
        self._work = work
        self._allowance_s = allowance_s
        self._most_seconds = most_seconds
        self._tickets: list[Ticket] = []  # sorted
        self._numbers = count()
        self._pace = Pace()
        self._reckoned = -math.inf  # when all work was reckoned anew

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def seconds(self) -> float:
        """Of sound that waits or is being worked on."""
        return math.fsum(ticket.seconds for ticket in self._tickets)

    @property
    def backlog_s(self) -> float:
        """Seconds that the machine needs for it."""
        return self._pace.factor * math.fsum(ticket.work for ticket in self._tickets)

    def admit(self, seconds: float, now: float) -> Ticket:
        """Let in a request with so much sound, as far as is known; or raise Overloaded."""
        ticket = self._planned(seconds, now)
        insort(self._tickets, ticket)
        return ticket

    def check(self, seconds: float, now: float) -> None:
        """Raise Overloaded where `admit` would."""
        self._planned(seconds, now)

    def correct(self, ticket: Ticket, seconds: float) -> None:
        """Its recording has so much sound, as is known now; who is in stays in."""
        self.release(ticket)
        self.remain(ticket, seconds)
        ticket.whole = seconds
        ticket.deadline = ticket.arrived + self._allowance_s + seconds
        insort(self._tickets, ticket)

    def remain(self, ticket: Ticket, seconds: float) -> None:
        """So much sound of it is still to be worked on."""
        ticket.seconds, ticket.work = seconds, self._work(seconds)

    def answered(self, ticket: Ticket, now: float) -> None:
        """All its work is done; it is still to be released."""
        self._pace.done(self._work(ticket.whole), now, self.backlog_s > _BACKLOG_S)

    def release(self, ticket: Ticket) -> None:
        """It is answered, or nobody waits for it any more."""
        del self._tickets[bisect_left(self._tickets, ticket)]

    def _planned(self, seconds: float, now: float) -> Ticket:
        if now >= self._reckoned + _RECKONED_EVERY_S:
            self._reckoned = now
            for ticket in self._tickets:
                ticket.work = self._work(ticket.seconds)
        waiting = self.seconds
        if waiting and waiting + seconds > self._most_seconds:
            excess = waiting + seconds - self._most_seconds
            raise Overloaded("queue_full", self.backlog_s * min(1.0, excess / waiting))
        deadline = now + self._allowance_s + seconds
        new = Ticket(deadline, next(self._numbers), now, seconds, self._work(seconds), seconds)
        place = bisect_left(self._tickets, new)
        pace = _CAUTION * self._pace.factor
        end = now + pace * math.fsum(ticket.work for ticket in self._tickets[:place])
        late = 0.0  # of those that it would delay, itself the first
        for ticket in (new, *self._tickets[place:]):
            end += pace * ticket.work
            late = max(late, end - ticket.deadline)
        if late > 0:
            raise Overloaded("deadline", late)
        return new


_BYTES_PER_SECOND = {"wav": 32_000.0, "flac": 18_000.0, "ogg": 4_000.0, "other": 8_000.0}


class Estimator:
    """Guesses how long a recording is before it is decoded, from its size and its header."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._rates = dict(_BYTES_PER_SECOND)

    def __call__(self, body: bytes) -> float:
        """Seconds that it may last, at most the longest that is accepted."""
        kind = _kind(body)
        told = _told(body, kind)
        return min(self._longest_s, len(body) / self._rates[kind] if told is None else told)

    def learn(self, body: bytes, seconds: float) -> None:
        """It lasted so long."""
        if seconds > 0:
            kind = _kind(body)
            self._rates[kind] += 0.1 * (len(body) / seconds - self._rates[kind])


def _kind(body: bytes) -> str:
    magic = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg"}
    return magic.get(body[:4], "other")


def _told(body: bytes, kind: str) -> float | None:
    """Seconds by the header, where one is quickly read; None for a header of no use."""
    if kind == "wav" and body[12:16] == b"fmt " and len(body) >= 32:
        (rate,) = struct.unpack_from("<I", body, 28)
        return len(body) / rate if rate else None
    if kind == "flac" and len(body) >= 26:
        packed = int.from_bytes(body[18:26], "big")  # 20 bits rate, 3, 5, 36 bits samples
        rate, samples = packed >> 44, packed & (2**36 - 1)
        return samples / rate if rate and samples else None
    return None
