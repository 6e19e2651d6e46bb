"""Stages of a job that work side by side: bounded links between them, and clocks on them."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass
class Clock:
    """How long the threads of a stage worked and waited, in seconds of all of them together."""

    threads: int
    busy: float = 0.0
    starved: float = 0.0
    """Waiting for something to do."""
    blocked: float = 0.0
    """Waiting until the next stage takes what is done."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def counting(self, what: str) -> Iterator[None]:
        """Adds the block's time to one of the sums."""
        began = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                setattr(self, what, getattr(self, what) + time.monotonic() - began)


class Link(Generic[Item]):
    """Hands items from the threads of one stage to those of the next, in bounded amounts.

    Args:
        size: of an item, above 0.
        most: once it holds as much, nothing more is let in; a large item is not kept out by small
            ones, so it may hold one more.
        batch: what is taken at a time: items of like size, up to this sum if each were as large as
            the largest of them. 0 gives them one by one.

    When each of the threads that have said that they give has said that it is done, nothing more
    comes.
    """

    def __init__(self, size: Callable[[Item], float], most: float, batch: float = 0.0) -> None:
        self._size, self._most, self._batch = size, most, batch
        self._givers = 0
        self._items: list[Item] = []
        self._held = 0.0
        self._ended = False
        self._changed = threading.Condition()

    def give(self, item: Item) -> None:
        """Waits for room; does nothing once the job has ended."""
        size = self._size(item)
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._held < self._most)
            if not self._ended:
                self._items.append(item)
                self._held += size
                self._changed.notify_all()

    def take(self, patience_s: float | None = None) -> list[Item]:
        """The oldest item and those most like it; none at the end, or when patience runs out."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self.is_over, patience_s)
            if self._ended or not self._items:
                return []
            chosen = self._chosen()
            taken = [self._items[index] for index in chosen]
            for index in sorted(chosen, reverse=True):
                del self._items[index]
            self._held -= sum(map(self._size, taken))
            self._changed.notify_all()
            return taken

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes out of it."""
        return self._ended or (self._givers == 0 and not self._items)

    def begin(self) -> None:
        """One more thread gives."""
        with self._changed:
            self._givers += 1

    def done(self) -> None:
        """One of the givers gives nothing more."""
        with self._changed:
            self._givers -= 1
            self._changed.notify_all()

    def end(self) -> None:
        """Nobody waits any longer, and what it holds is dropped."""
        with self._changed:
            self._ended = True
            self._items.clear()
            self._changed.notify_all()

    def _chosen(self) -> list[int]:
        """Indices of the next batch; the oldest item first, so that none waits for ever."""
        sizes = list(map(self._size, self._items))
        by_likeness = sorted(
            range(len(sizes)), key=lambda index: abs(math.log(sizes[index] / sizes[0]))
        )
        largest, chosen = 0.0, list[int]()
        for index in by_likeness:
            largest = max(largest, sizes[index])
            if chosen and largest * (len(chosen) + 1) > self._batch:
                break
            chosen.append(index)
        return chosen
