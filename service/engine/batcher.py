"""Which windows go to the device together: a queue without clock, I/O or threads.

Each batch has the window with the earliest deadline, and others of similar length up to the budget
in padded seconds. Deadlines grow with the recording's length: a short clip overtakes the windows of
a long recording, which run in between, and nothing waits for ever.

Windows that nobody waits for have a deadline too, from `BACKGROUND` on. So they run when no other
window waits, and never make another's batch larger.
"""

import math
from bisect import insort
from collections import defaultdict, deque
from dataclasses import dataclass

_GROUP = 1.5  # longest window of a batch divided by its shortest, at most
_SHORTEST_S = 1.0  # shorter windows form one group
_LEAST_BUDGET_S = 1.0
BACKGROUND = 1e12
"""What is due from then on is due at no time: in seconds of a monotonic clock, this is far off."""


@dataclass(frozen=True, order=True)
class Item:
    """One window of a recording that waits for the device; items sort by deadline."""

    deadline: float
    """When its request must be answered, by a monotonic clock."""
    task: int
    """Id of the recording's task."""
    index: int
    """Index of the window in the recording."""
    seconds: float
    """Its length."""

    @property
    def is_background(self) -> bool:
        """Whether nobody waits for it."""
        return self.deadline >= BACKGROUND


@dataclass(frozen=True)
class Batch:
    """Windows that go to the device together."""

    items: tuple[Item, ...]

    @property
    def seconds(self) -> float:
        """Seconds of audio."""
        return math.fsum(item.seconds for item in self.items)

    @property
    def padded_seconds(self) -> float:
        """Seconds of audio and padding: what the batch costs."""
        return len(self.items) * max(item.seconds for item in self.items)


class Batcher:
    """Items in, batches out.

    Args:
        budget: padded seconds in a batch; a longer item forms a batch of its own.
        most: items in a batch, at most.
    """

    def __init__(self, budget: float, most: int) -> None:
        self.budget = budget
        self._most = most
        self._groups: dict[int, list[Item]] = defaultdict(list)  # each sorted
        self._halves: deque[Batch] = deque()

    def add(self, item: Item) -> None:
        """Queue an item."""
        insort(self._groups[_group(item.seconds)], item)

    def next(self, longest: float = math.inf) -> Batch | None:
        """The next batch, of items up to `longest` seconds; None if there is none."""
        if self._halves:
            return self._halves.popleft()
        waiting = [
            group
            for number, group in self._groups.items()
            if group and (longest == math.inf or number < _group(longest))
        ]
        if not waiting:
            return None
        group = min(waiting, key=lambda group: group[0])
        count, longest = 0, 0.0
        for item in group[: self._most]:
            longest = max(longest, item.seconds)
            if count and longest * (count + 1) > self.budget:
                break
            if item.is_background != group[0].is_background:
                break
            count += 1
        batch = Batch(tuple(group[:count]))
        del group[:count]
        return batch

    def drop(self, task: int) -> None:
        """Forget the waiting items of a task; items on the device are not held here."""
        for group in self._groups.values():
            group[:] = [item for item in group if item.task != task]
        halves = [tuple(item for item in half.items if item.task != task) for half in self._halves]
        self._halves = deque(Batch(items) for items in halves if items)

    def split(self, batch: Batch) -> None:
        """Put a failed batch back as two halves, which are the next two batches."""
        middle = len(batch.items) // 2
        self._halves.extendleft((Batch(batch.items[middle:]), Batch(batch.items[:middle])))

    def shrink(self) -> None:
        """Halve the budget, after the device ran out of memory."""
        self.budget = max(_LEAST_BUDGET_S, self.budget / 2)

    def __len__(self) -> int:
        """Number of waiting items."""
        halves = sum(len(half.items) for half in self._halves)
        return halves + sum(map(len, self._groups.values()))


def _group(seconds: float) -> int:
    return int(math.log(max(seconds / _SHORTEST_S, 1.0), _GROUP))
