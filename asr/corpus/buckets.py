"""Batches of clips of similar length, bounded by their cost in padded seconds.

Padded seconds are a batch's size times its longest clip. Clips are sorted into buckets by
length; each epoch shuffles within buckets and then the order of batches. The number of batches
is the same in every epoch, so that a schedule over steps is known before training starts.

An epoch is planned for all processes together, and its batches go to them in turn. Each process
gets the same number of batches, since distributed training hangs otherwise
(pytorch-lightning#20404). If the last round is incomplete, it is filled with the first batches.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from asr.errors import BadOption


class Buckets(Sampler[list[int]]):
    """Yields batches of indices; a pure function of `(lengths, seed, epoch, ranks, rank)`.

    Args:
        lengths: of each clip, in samples or another unit.
        most: largest padded length of a batch, in the same unit.
        epoch: returns the epoch when iteration starts.
        shuffle: if false, every epoch has the same batches in the same mixed order.
        short_first: epochs that are ordered from short clips to long ones (Amodei et al.,
            "Deep Speech 2", 2016, section 3.4), which avoids CTC's early all-blank plateau.
        ranks: processes that share an epoch.
        rank: which of them this one is.
        start: returns the batch of the epoch at which iteration starts.
        pools: of each clip; a batch has clips of one pool, and pools follow each other, so that
            clips from distant files need not be read at once. By default there is one pool. With
            `short_first` clips go from short to long within each pool.
        count: buckets in a pool, at most half as many as its batches. More buckets pad less, fewer
            mix more: with 40, padding costs about 2 %; with one, batches are random.
    """

    def __init__(
        self,
        lengths: Sequence[int] | npt.NDArray[np.int64],
        most: int,
        seed: int = 0,
        epoch: Callable[[], int] = lambda: 0,
        shuffle: bool = True,
        short_first: int = 0,
        ranks: int = 1,
        rank: int = 0,
        start: Callable[[], int] = lambda: 0,
        pools: npt.NDArray[np.int64] | None = None,
        count: int = 40,
    ) -> None:
        self._lengths = np.asarray(lengths, np.int64)
        if len(self._lengths) and (longest := int(self._lengths.max())) > most:
            raise BadOption(
                f"the longest clip ({longest}) exceeds a whole batch ({most}); "
                "raise data.batch_seconds or take the clip out."
            )
        self._most = most
        self._seed = seed
        self._epoch = epoch
        self._shuffle = shuffle
        self._short_first = short_first
        self._ranks = ranks
        self._rank = rank
        self._start = start
        order = np.argsort(self._lengths, kind="stable")
        pools = np.zeros_like(order) if pools is None else pools[order]
        self._pools = [self._parted(order[pools == pool], count) for pool in np.unique(pools)]

    def __len__(self) -> int:
        buckets = chain.from_iterable(self._pools)
        batches = sum(-(-len(bucket) // self._size(bucket)) for bucket in buckets)
        return -(-batches // self._ranks)

    def __iter__(self) -> Iterator[list[int]]:
        plan = self.plan(self._epoch() if self._shuffle else 0)
        mine = range(self._rank, len(self) * self._ranks, self._ranks)
        for at in mine[self._start() :]:
            yield plan[at % len(plan)]

    def costliest(self) -> list[int]:
        """The batch with the most padded seconds that any epoch can have."""
        bucket = max(
            chain.from_iterable(self._pools),
            key=lambda part: min(self._size(part), len(part)) * self._lengths[part[-1]],
        )
        costliest: list[int] = bucket[-self._size(bucket) :].tolist()
        return costliest

    def plan(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, of all ranks."""
        random = np.random.default_rng([self._seed, epoch])
        plan: list[list[int]] = []
        order = range(len(self._pools))
        if len(order) > 1:  # one pool draws no number, so runs without pools keep their order
            order = random.permutation(len(order)).tolist()
        for pool in (self._pools[at] for at in order):
            batches: list[list[int]] = []
            for bucket in pool:
                size = self._size(bucket)
                mixed = random.permutation(bucket)
                batches += [mixed[at : at + size].tolist() for at in range(0, len(mixed), size)]
            if not self._shuffle or epoch >= self._short_first:
                batches = [batches[at] for at in random.permutation(len(batches))]
            plan += batches
        return plan

    def _parted(self, order: npt.NDArray[np.int64], count: int) -> list[npt.NDArray[np.int64]]:
        """Clips sorted by length, in buckets of similar length."""
        batches = int(self._lengths[order].sum()) // self._most
        return np.array_split(order, max(1, min(count, batches // 2)))

    def _size(self, bucket: npt.NDArray[np.int64]) -> int:
        longest = max(1, int(self._lengths[bucket[-1]]))
        return max(1, self._most // longest)
