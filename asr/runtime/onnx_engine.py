"""The acoustic model in ONNX Runtime, on the CPU.

Shapes: B batch, U frames, V units.
"""

import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from asr.bundle import Bundle
from asr.bundle.session import session
from asr.machine import usable_cores
from asr.runtime.engine import LogProbs, Wave, pad, stacked
from asr.runtime.windows import WINDOW_SECONDS
from asr.sampling import SAMPLE_RATE

_BATCH = {"int8": 1, "fp32": 8}
"""Utterances per call. Dynamic quantisation uses one scale for a whole batch, so int8 must run each
alone (guarantee 1); in fp32 a batch is faster, since weights are read once for all."""
_LARGE = 60 * SAMPLE_RATE
"""Samples of a call whose memory is given back: kept for the next one, it costs 3 % less time."""


@cache
def _release() -> onnxruntime.RunOptions:
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


_engines: weakref.WeakSet["OnnxEngine"] = weakref.WeakSet()


def _after_fork() -> None:
    """Threads do not survive a fork."""
    for engine in _engines:
        engine.start_threads()


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_after_fork)


class OnnxEngine:
    """Runs a bundle's graph: each thread runs its own utterances through one shared session.

    A recurrent layer is a long chain of small steps, so one thread per utterance uses cores much
    better than several threads per step. A forked process gets its own threads.

    Args:
        threads: utterances (int8) or small batches (fp32) at a time; None for all usable cores.
    """

    device = "cpu"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self._threads = threads or usable_cores()
        self._batch = _BATCH[bundle.precision]
        self._columns = bundle.tokenizer.n_units + bundle.tokenizer.n_phones
        self._session = session(bundle.graph)
        self.start_threads()
        _engines.add(self)

    def start_threads(self) -> None:
        """Creates new threads, in place of those that a forked process lacks."""
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="onnx")

    @property
    def batch_seconds(self) -> float:
        return WINDOW_SECONDS * self._threads  # one full window per thread

    def __call__(self, waves: Sequence[Wave]) -> tuple[LogProbs, NDArray[np.int64]]:
        size = max(1, min(self._batch, -(-len(waves) // self._threads)))
        chunks = [waves[first : first + size] for first in range(0, len(waves), size)]
        rows = list(chain.from_iterable(self._pool.map(self._run, chunks)))
        if not rows:
            return np.zeros((0, 0, self._columns), np.float32), np.zeros(0, np.int64)
        return stacked(rows)

    def _run(self, waves: Sequence[Wave]) -> list[LogProbs]:
        """`(U, V)` log-probabilities of each wave, without padding."""
        wave, wave_lengths = pad(waves)
        inputs = {"wave": wave, "wave_lengths": wave_lengths}
        told = _release() if wave.size > _LARGE else None
        log_probs, lengths = self._session.run(["log_probs", "lengths"], inputs, told)
        return [row[:n] for row, n in zip(log_probs, lengths, strict=True)]
