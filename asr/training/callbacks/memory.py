"""Keeps the memory of a long run constant."""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

_EVERY = 50  # steps


class MemoryTrimmer(Callback):
    """Returns free memory to the system from time to time.

    Batches differ in shape, so blocks that glibc's allocator keeps rarely fit the next batch: on a
    CPU a process grows by megabytes per step. Other C libraries have no such call.
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
