"""The acoustic model in ONNX Runtime, on the CPU.

Shapes: B batch, U frames, V units.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import onnxruntime
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.bundle import Bundle
from asr.runtime.engine import Wave, pad
from asr.runtime.windows import WINDOW_SECONDS

_BATCH = {"int8": 1, "fp32": 8}
"""Utterances run together. Dynamic quantisation takes one scale for a whole batch, so int8 must
run each alone (law of company); fp32 gains, since weights are then read once for all."""


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class OnnxEngine:
    """Runs a bundle's graph: each thread takes its own utterances through one shared session.

    A recurrent layer is one long chain of small steps, so a thread per utterance uses cores far
    better than several threads per step.

    Args:
        threads: utterances (int8) or small batches (fp32) at a time; all usable cores if None.
    """

    device = "cpu"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self._threads = threads or usable_cores()
        self._batch = _BATCH[bundle.precision]
        self._n_units = bundle.tokenizer.n_units
        self._session = _session(bundle)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="onnx")

    @property
    def batch_seconds(self) -> float:
        return WINDOW_SECONDS * self._threads  # a whole window for each thread

    def __call__(self, waves: Sequence[Wave]) -> tuple[Tensor, Tensor]:
        size = max(1, min(self._batch, -(-len(waves) // self._threads)))
        chunks = [waves[first : first + size] for first in range(0, len(waves), size)]
        rows = list(chain.from_iterable(self._pool.map(self._run, chunks)))
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        if not rows:
            return torch.zeros(0, 0, self._n_units), lengths
        return pad_sequence(rows, batch_first=True), lengths  # (B, U, V), (B,)

    def _run(self, waves: Sequence[Wave]) -> list[Tensor]:
        """`(U, V)` log-probabilities of each wave, without padding."""
        wave, wave_lengths = pad(waves)
        inputs = {"wave": wave, "wave_lengths": wave_lengths}
        log_probs, lengths = self._session.run(["log_probs", "lengths"], inputs)
        return [torch.from_numpy(row[:n]) for row, n in zip(log_probs, lengths, strict=True)]


def _session(bundle: Bundle) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Waiting threads that spin would slow down torch in the same process (onnxruntime#13808).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: its warnings are not for users
    return onnxruntime.InferenceSession(
        str(bundle.graph), options, providers=["CPUExecutionProvider"]
    )
