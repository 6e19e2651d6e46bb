"""Batches of clips of like length, bounded by what they cost: padded seconds.

Padded seconds are a batch's size times its longest clip. Clips are sorted into buckets by
length; each epoch shuffles within buckets and then the order of batches. The number of batches
is the same in every epoch, so that a schedule over steps is known before training starts.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from asr.errors import BadOption

_BUCKETS = 40  # finer buckets pad less, coarser ones mix more; at 40 padding costs about 2 %


class Buckets(Sampler[list[int]]):
    """Yields batches of indices; a pure function of `(lengths, seed, epoch)`.

    Args:
        lengths: of each clip, in samples or any one unit.
        most: padded length that a batch may reach, in the same unit.
        epoch: tells the epoch when iteration starts.
        shuffle: without it the same batches come in the same mixed order every time.
        short_first: epochs that go from the shortest clips to the longest (Amodei et al.,
            "Deep Speech 2", 2016, section 3.4), which spares CTC its early all-blank plateau.
    """

    def __init__(
        self,
        lengths: Sequence[int] | npt.NDArray[np.int64],
        most: int,
        seed: int = 0,
        epoch: Callable[[], int] = lambda: 0,
        shuffle: bool = True,
        short_first: int = 0,
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
        order = np.argsort(self._lengths, kind="stable")
        self._buckets = [part for part in np.array_split(order, _BUCKETS) if len(part)]

    def __len__(self) -> int:
        return sum(-(-len(bucket) // self._size(bucket)) for bucket in self._buckets)

    def __iter__(self) -> Iterator[list[int]]:
        epoch = self._epoch() if self._shuffle else 0
        random = np.random.default_rng([self._seed, epoch])
        batches: list[list[int]] = []
        for bucket in self._buckets:
            size = self._size(bucket)
            mixed = random.permutation(bucket)
            batches += [mixed[at : at + size].tolist() for at in range(0, len(mixed), size)]
        if not self._shuffle or epoch >= self._short_first:
            batches = [batches[at] for at in random.permutation(len(batches))]
        yield from batches

    def _size(self, bucket: npt.NDArray[np.int64]) -> int:
        longest = max(1, int(self._lengths[bucket[-1]]))
        return max(1, self._most // longest)
