"""The training batches of one process, and the place in them that checkpoints keep."""

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader

from asr.corpus import Batch, Buckets, Example, SpeechDataset, collate
from asr.errors import BadOption


class Place:
    """Epoch and batch that come next, from the batches that the run has seen in all its parts.

    Lightning's own epoch lags behind where worker processes fetch ahead after a resume.

    Args:
        seen: tells the batches seen.
        per_epoch: tells how many make an epoch.
    """

    def __init__(self, seen: Callable[[], int], per_epoch: Callable[[], int]) -> None:
        self._seen = seen
        self.per_epoch = per_epoch
        self._origin = (0, 0, 0)

    @classmethod
    def of_run(cls, trainer: L.Trainer | None, batches: Callable[[], int]) -> "Place":
        """The place of a run whose loader has so many batches."""
        if trainer is None:
            return cls(lambda: 0, batches)
        progress, limit = trainer.fit_loop.epoch_loop.batch_progress, trainer.limit_train_batches

        def per_epoch() -> int:
            left = limit if isinstance(limit, int) else int(batches() * limit)
            return max(1, min(batches(), left))

        return cls(lambda: progress.total.ready, per_epoch)

    def begin(self, epoch: int, batch: int) -> None:
        """Count from here on: `batch` of `epoch` comes next."""
        self._origin = (self._seen(), epoch, batch)

    def __call__(self) -> tuple[int, int]:
        """`(epoch, batch)` that comes next."""
        seen, epoch, batch = self._origin
        epochs, rest = divmod(batch + self._seen() - seen, self.per_epoch())
        return epoch + epochs, rest


class ResumableLoader(DataLoader[Example]):
    """Batches that go on inside an epoch; Lightning keeps `state_dict()` in checkpoints.

    Args:
        plan: names the order of batches: what it depends on beside the epoch.
    """

    def __init__(
        self, dataset: SpeechDataset, batches: Buckets, workers: int, place: Place, plan: str
    ) -> None:
        super().__init__(dataset, batch_sampler=batches, collate_fn=collate, num_workers=workers)
        self._place = place
        self._plan = plan
        self.waited = 0.0
        """Seconds that training has waited for its batches."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches = super().__iter__()
        while True:
            began = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self.waited += time.perf_counter() - began
            yield batch

    def state_dict(self) -> dict[str, Any]:
        epoch, batch = self._place()
        return {"plan": self._plan, "epoch": epoch, "batch": batch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there.

        Raises:
            BadOption: that is inside an epoch, whose batches are others now.
        """
        if state_dict["batch"] and state_dict["plan"] != self._plan:
            raise BadOption(
                f"the checkpoint lies inside epoch {state_dict['epoch']}, which has other batches "
                "now: resume with the same training data, data.batch_seconds, data.seed and number "
                "of processes, or start a new run from it with model.init_from."
            )
        self._place.begin(state_dict["epoch"], state_dict["batch"])


def plan_of(lengths: npt.NDArray[np.int64], pools: npt.NDArray[np.int64], *settings: int) -> str:
    """A name for the order of batches that follows from clips like these and settings."""
    digest = hashlib.sha256(np.asarray(settings, np.int64).tobytes())
    digest.update(lengths.tobytes())
    if pools.any():
        digest.update(pools.tobytes())
    return digest.hexdigest()[:16]
