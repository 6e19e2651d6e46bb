"""What keeps a long run's memory flat."""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

_EVERY = 50  # steps


class GivesBack(Callback):
    """Gives the memory that batches have left back to the system from time to time.

    Batches differ in shape, and what glibc's allocator keeps of each for the next fits few of them:
    on a CPU a process grows by megabytes a step. Other C libraries have no such call and are left
    alone.
    """

    def __init__(self) -> None:
        self._trim: Callable[[int], int] | None = None
        with suppress(AttributeError, OSError, TypeError):  # not glibc
            self._trim = ctypes.CDLL(None).malloc_trim

    def on_train_batch_end(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        if self._trim is not None and batch_idx % _EVERY == _EVERY - 1:
            self._trim(0)
