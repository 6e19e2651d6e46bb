"""The training batches of one process, and the position in them that checkpoints keep."""

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader, Dataset

from asr.corpus.buckets import Buckets
from asr.corpus.dataset import Batch, Example, collate
from asr.corpus.mixture import Mixture
from asr.errors import BadOption
from asr.training.lightning_internals import batches_seen


class Place:
    """The next epoch and batch, computed from the batches that the run has seen so far.

    Lightning's own epoch lags behind if worker processes prefetch after a resume.

    Args:
        seen: returns the number of batches seen.
        per_epoch: returns the number of batches in an epoch.
    """

    def __init__(self, seen: Callable[[], int], per_epoch: Callable[[], int]) -> None:
        self._seen = seen
        self.per_epoch = per_epoch
        self._origin = (0, 0, 0)

    @classmethod
    def of_run(cls, trainer: L.Trainer | None, batches: Callable[[], int]) -> "Place":
        """The position of a run whose loader has so many batches."""
        if trainer is None:
            return cls(lambda: 0, batches)
        limit = trainer.limit_train_batches

        def per_epoch() -> int:
            left = limit if isinstance(limit, int) else int(batches() * limit)
            return max(1, min(batches(), left))

        return cls(lambda: batches_seen(trainer), per_epoch)

    def begin(self, epoch: int, batch: int) -> None:
        """Continues counting from `batch` of `epoch`, which comes next."""
        self._origin = (self._seen(), epoch, batch)

    def __call__(self) -> tuple[int, int]:
        """`(epoch, batch)` that comes next."""
        seen, epoch, batch = self._origin
        epochs, rest = divmod(batch + self._seen() - seen, self.per_epoch())
        return epoch + epochs, rest


class ResumableLoader(DataLoader[Example]):
    """A loader that resumes inside an epoch; Lightning keeps `state_dict()` in checkpoints.

    Args:
        plan: a hash of everything that the order of batches depends on, except the epoch.
    """

    def __init__(
        self,
        dataset: Dataset[Example],
        batches: Buckets | Mixture,
        workers: int,
        place: Place,
        plan: str,
    ) -> None:
        super().__init__(dataset, batch_sampler=batches, collate_fn=collate, num_workers=workers)
        self._place = place
        self._plan = plan
        self.waited = 0.0
        """Seconds that training has waited for batches."""

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
        """Continues from a checkpoint's position.

        Raises:
            BadOption: it is inside an epoch whose batches have changed.
        """
        if state_dict["batch"] and state_dict["plan"] != self._plan:
            raise BadOption(
                f"the checkpoint lies inside epoch {state_dict['epoch']}, which has other batches "
                "now: resume with the same training data, data.batch_seconds, data.seed and number "
                "of processes, or start a new run from it with model.init_from."
            )
        self._place.begin(state_dict["epoch"], state_dict["batch"])


def plan_of(lengths: npt.NDArray[np.int64], pools: npt.NDArray[np.int64], *settings: int) -> str:
    """A hash of the clips and settings that determine the order of batches."""
    digest = hashlib.sha256(np.asarray(settings, np.int64).tobytes())
    digest.update(lengths.tobytes())
    if pools.any():
        digest.update(pools.tobytes())
    return digest.hexdigest()[:16]
