"""What the store of jobs gives and takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from service.jobs.fair import FairQueue

State: TypeAlias = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True)
class Record:
    """What the store knows of a job, but for its result."""

    id: str
    key: str
    digest: str
    name: str
    bytes: int
    fields: dict[str, Any]
    options: dict[str, Any]
    created: float
    seconds: float
    state: State = "waiting"
    starts: int = 0
    started: float | None = None
    ended: float | None = None
    heard: float = 0.0
    """Seconds that are done of a job that another replica runs."""
    error: dict[str, Any] | None = None
    callback: str | None = None
    calls: int = 0
    repeats: str | None = field(default=None, compare=False)

    @property
    def has_ended(self) -> bool:
        """Whether it is done or failed."""
        return self.state in ("done", "failed")


@dataclass(frozen=True)
class Elsewhere:
    """A job that another replica runs."""

    key: str
    left: float
    """Seconds of audio that are still to be heard."""
    holder: str


@dataclass(frozen=True)
class Standing:
    """The jobs that have not ended."""

    queue: FairQueue
    """Those that wait."""
    elsewhere: tuple[Elsewhere, ...]
    bytes: int
    """Of the recordings of all of them."""


@dataclass(frozen=True)
class Progress:
    """How far a job is that this replica runs."""

    id: str
    seconds: float
    heard: float
    first: int
    """Number of the first of its new segments."""
    segments: Sequence[str]
    """In JSON."""


class TooManyJobs(Exception):
    """The key has as many jobs as it may have."""


class TooManyBytes(Exception):
    """The recordings of jobs take as many bytes as they may."""
