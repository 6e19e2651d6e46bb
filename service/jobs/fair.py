"""Which job is next: keys share the capacity, whatever each of them has posted.

A queue without clock, I/O or threads. Each key has a clock of its own that shows the seconds of
audio it was given, and the key whose clock is slowest is next (start-time fair queueing, Goyal et
al., 1996). A key that comes anew starts with the slowest clock of those that wait: it saves up
nothing.
"""

from collections import deque
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


class FairQueue:
    """The jobs that wait, in the order in which they will be worked on."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Waiting]] = {}
        self._clocks: dict[str, float] = {}
        self._places: dict[str, Place] | None = None

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def seconds(self) -> float:
        """Seconds of audio that wait."""
        return sum(job.seconds for jobs in self._waiting.values() for job in jobs)

    def of(self, key: str) -> list[Waiting]:
        """The jobs of a key that wait."""
        return list(self._waiting.get(key, ()))

    def add(self, job: Waiting) -> None:
        """Queue a job behind the others of its key."""
        if job.key not in self._waiting:
            slowest = min((self._clocks[key] for key in self._waiting), default=0.0)
            self._clocks[job.key] = max(slowest, self._clocks.get(job.key, 0.0))
        self._waiting.setdefault(job.key, deque()).append(job)
        self._places = None

    def remove(self, id: str) -> None:
        """Forget a job, if it waits."""
        for key, jobs in list(self._waiting.items()):
            kept = deque(job for job in jobs if job.id != id)
            self._keep(key, kept)
        self._places = None

    def first(self) -> Waiting | None:
        """The job that is next, which stays; None if none waits."""
        if not self._waiting:
            return None
        return self._waiting[min(self._waiting, key=self._turn)][0]

    def take(self) -> Waiting | None:
        """The job that is next, which waits no more; None if none waits."""
        job = self.first()
        if job is not None:
            self._waiting[job.key].popleft()
            self._clocks[job.key] += job.seconds
            self._keep(job.key, self._waiting[job.key])
            self._places = None
        return job

    def place(self, id: str) -> Place | None:
        """Where a job waits; None if it does not."""
        if self._places is None:
            self._places = dict(self._planned())
        return self._places.get(id)

    def _planned(self) -> list[tuple[str, Place]]:
        plan = FairQueue()
        plan._waiting = {key: deque(jobs) for key, jobs in self._waiting.items()}
        plan._clocks = dict(self._clocks)
        places: list[tuple[str, Place]] = []
        before = 0.0
        while (job := plan.take()) is not None:
            places.append((job.id, Place(len(places) + 1, before)))
            before += job.seconds
        return places

    def _turn(self, key: str) -> tuple[float, str]:
        return self._clocks[key], key

    def _keep(self, key: str, jobs: deque[Waiting]) -> None:
        if jobs:
            self._waiting[key] = jobs
            return
        del self._waiting[key]
        if not self._waiting:  # nobody waits: nobody owes anybody anything
            self._clocks.clear()
