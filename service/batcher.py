"""Which pieces of sound go to the device together: a queue without clock, I/O or threads.

The oldest deadline goes first, always; with it go others of like length, as many as the budget in
padded seconds holds. A deadline grows with its recording's length, so a short clip overtakes the
windows of a long recording, which go on between, and nothing waits for ever.
"""

import math
from bisect import insort
from collections import defaultdict, deque
from dataclasses import dataclass

_GROUP = 1.5  # the longest of a batch is at most so many times its shortest
_SHORTEST_S = 1.0  # shorter ones are all of one group
_LEAST_BUDGET_S = 1.0


@dataclass(frozen=True, order=True)
class Item:
    """A piece of sound that waits: one window of a recording; they sort by deadline."""

    deadline: float
    """When its request must be answered, by a clock that never goes back."""
    job: int
    """Whose it is."""
    index: int
    """Which of the recording's windows."""
    seconds: float
    """Its length."""


@dataclass(frozen=True)
class Batch:
    """What goes to the device together."""

    items: tuple[Item, ...]

    @property
    def seconds(self) -> float:
        """Of sound."""
        return math.fsum(item.seconds for item in self.items)

    @property
    def padded_seconds(self) -> float:
        """Of sound and of the padding behind it: what the batch costs."""
        return len(self.items) * max(item.seconds for item in self.items)


class Batcher:
    """Items in, batches out.

    Args:
        budget: padded seconds in a batch; an item that is longer comes alone.
        most: items in a batch.
    """

    def __init__(self, budget: float, most: int) -> None:
        self.budget = budget
        self._most = most
        self._groups: dict[int, list[Item]] = defaultdict(list)  # each sorted
        self._halves: deque[Batch] = deque()

    def add(self, item: Item) -> None:
        """Let an item wait for its turn."""
        insort(self._groups[_group(item.seconds)], item)

    def next(self, longest: float = math.inf) -> Batch | None:
        """The next batch, of items no longer than `longest`; None where there is none."""
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
            count += 1
        batch = Batch(tuple(group[:count]))
        del group[:count]
        return batch

    def drop(self, job: int) -> None:
        """Forget what waits of a job; what is at work is not held here."""
        for group in self._groups.values():
            group[:] = [item for item in group if item.job != job]
        halves = [tuple(item for item in half.items if item.job != job) for half in self._halves]
        self._halves = deque(Batch(items) for items in halves if items)

    def split(self, batch: Batch) -> None:
        """Put back a batch that failed as two halves, which go next, each by itself."""
        middle = len(batch.items) // 2
        self._halves.extendleft((Batch(batch.items[middle:]), Batch(batch.items[:middle])))

    def shrink(self) -> None:
        """Halve the budget, for a device that ran out of memory."""
        self.budget = max(_LEAST_BUDGET_S, self.budget / 2)

    def __len__(self) -> int:
        """Items that wait."""
        halves = sum(len(half.items) for half in self._halves)
        return halves + sum(map(len, self._groups.values()))


def _group(seconds: float) -> int:
    return int(math.log(max(seconds / _SHORTEST_S, 1.0), _GROUP))
