"""Which job is next: keys share the capacity, whatever each of them has posted.

A queue without clock, I/O or threads. The jobs of a key follow each other on a line of the seconds
of audio that it was given, and the job that starts first on its line is next (start-time fair
queueing, Goyal et al., 1996). No line goes on before the start of the job that was taken last: a
key that comes anew has saved up nothing.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Waiting:
    """A job that waits."""

    id: str
    key: str
    seconds: float
    """Seconds of its audio, as far as known."""


@dataclass(frozen=True)
class Place:
    """Where a job waits."""

    number: int
    """Its place, from 1."""
    seconds_before: float
    """Seconds of audio of those before it."""


@dataclass(frozen=True)
class Turn:
    """Where the last job of a key lies on its line, in seconds of audio."""

    start: float
    stop: float


class FairQueue:
    """The jobs that wait, in the order in which they will be worked on.

    Args:
        turns: what each key was given before.
    """

    def __init__(self, turns: Mapping[str, Turn] | None = None) -> None:
        self._waiting: dict[str, deque[Waiting]] = {}
        self._turns = dict(turns or {})
        self._places: dict[str, Place] | None = None

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def seconds(self) -> float:
        """Seconds of audio that wait; another thread may ask, for the metrics."""
        return sum(job.seconds for jobs in tuple(self._waiting.values()) for job in tuple(jobs))

    @property
    def turns(self) -> dict[str, Turn]:
        """What each key was given; none if nobody waits, as then nobody owes anybody anything."""
        return dict(self._turns)

    def of(self, key: str) -> list[Waiting]:
        """The jobs of a key that wait."""
        return list(self._waiting.get(key, ()))

    def add(self, job: Waiting) -> None:
        """Queue a job behind the others of its key."""
        self._waiting.setdefault(job.key, deque()).append(job)
        self._places = None

    def remove(self, id: str) -> None:
        """Forget a job, if it waits."""
        for key, jobs in list(self._waiting.items()):
            self._keep(key, deque(job for job in jobs if job.id != id))
        self._places = None

    def first(self) -> Waiting | None:
        """The job that is next, which stays; None if none waits."""
        if not self._waiting:
            return None
        starts = self._starts()
        return self._waiting[min(starts, key=lambda key: (starts[key], key))][0]

    def take(self) -> Waiting | None:
        """The job that is next, which waits no more; None if none waits."""
        job = self.first()
        if job is not None:
            start = self._starts()[job.key]
            self._turns[job.key] = Turn(start, start + job.seconds)
            self._waiting[job.key].popleft()
            self._keep(job.key, self._waiting[job.key])
            self._places = None
        return job

    def place(self, id: str) -> Place | None:
        """Where a job waits; None if it does not."""
        if self._places is None:
            self._places = dict(self._planned())
        return self._places.get(id)

    def _planned(self) -> list[tuple[str, Place]]:
        plan = FairQueue(self._turns)
        plan._waiting = {key: deque(jobs) for key, jobs in self._waiting.items()}
        places: list[tuple[str, Place]] = []
        before = 0.0
        while (job := plan.take()) is not None:
            places.append((job.id, Place(len(places) + 1, before)))
            before += job.seconds
        return places

    def _starts(self) -> dict[str, float]:
        """Where the next job of each key that waits would start."""
        last = max((turn.start for turn in self._turns.values()), default=0.0)
        none = Turn(last, last)
        return {key: max(last, self._turns.get(key, none).stop) for key in self._waiting}

    def _keep(self, key: str, jobs: deque[Waiting]) -> None:
        if jobs:
            self._waiting[key] = jobs
            return
        del self._waiting[key]
        if not self._waiting:
            self._turns.clear()
