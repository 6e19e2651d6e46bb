"""Batches of several corpora in fixed shares.

An epoch has all batches of the main corpus, and as many of every other corpus as its share says;
the other corpora continue where the last epoch stopped. In the last epochs of a run the main corpus
replaces the others. So every epoch has the same number of batches, and the schedule over steps is
known before training starts.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from asr.corpus.buckets import Buckets

_AGAIN = 1_000_003  # so that the main corpus's second pass in an epoch differs from its first


class Mixture(Sampler[list[int]]):
    """Yields batches of indices into the concatenated corpora.

    A pure function of the arguments and the epoch, like `Buckets`; batches go to processes in the
    same way.

    Args:
        corpora: the batches of each corpus, the main one first, each made for one process.
        sizes: clips of each corpus.
        shares: of the batches, for each corpus but the main one, which has the rest.
        epoch: returns the epoch when iteration starts.
        start: returns the batch of the epoch to start at.
        alone_from: the first epoch, counted from 0, with only the main corpus.
    """

    def __init__(
        self,
        corpora: Sequence[Buckets],
        sizes: Sequence[int],
        shares: Sequence[float],
        epoch: Callable[[], int] = lambda: 0,
        start: Callable[[], int] = lambda: 0,
        alone_from: int | None = None,
        ranks: int = 1,
        rank: int = 0,
    ) -> None:
        self._main, *self._others = corpora
        self._offsets = np.cumsum([0, *sizes])[:-1].tolist()
        rest = 1.0 - sum(shares)
        self._counts = [round(len(self._main) * share / rest) for share in shares]
        self._epoch = epoch
        self._start = start
        self._alone_from = alone_from
        self._ranks = ranks
        self._rank = rank

    def __len__(self) -> int:
        return -(-(len(self._main) + sum(self._counts)) // self._ranks)

    def __iter__(self) -> Iterator[list[int]]:
        plan = self.plan(self._epoch())
        mine = range(self._rank, len(self) * self._ranks, self._ranks)
        for at in mine[self._start() :]:
            yield plan[at % len(plan)]

    def costliest(self) -> list[int]:
        """The batch with the most padded seconds that any epoch can have, of the main corpus."""
        return self._main.costliest()

    def plan(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, of all processes."""
        plan = self._main.plan(epoch)
        alone = self._alone_from is not None and epoch >= self._alone_from
        if alone:
            plan = plan + _stretch(self._main, sum(self._counts), epoch, _AGAIN)
        else:
            for corpus, count, first in zip(
                self._others, self._counts, self._offsets[1:], strict=True
            ):
                batches = _stretch(corpus, count, epoch)
                plan = plan + [[first + index for index in batch] for batch in batches]
        random = np.random.default_rng([len(plan), epoch])
        # Batches of the others are spread evenly. Those of the main corpus keep their order, which
        # in the first epochs is from short to long.
        main = len(self._main)
        places = np.concatenate([np.arange(main) / main, random.random(len(plan) - main)])
        return [plan[at] for at in np.argsort(places, kind="stable")]


def _stretch(corpus: Buckets, count: int, epoch: int, offset: int = 0) -> list[list[int]]:
    """The `count` batches of a corpus that an epoch uses."""
    size, batches = len(corpus), []
    first, end = epoch * count, (epoch + 1) * count
    for reading in range(first // size, -(-end // size)):
        plan = corpus.plan(offset + reading)
        batches += plan[max(0, first - reading * size) : end - reading * size]
    return batches
