"""The acoustic model in torch: one padded batch per call, on a GPU or (slower) on the CPU."""

import os
import threading
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from asr.bundle import Bundle
from asr.errors import AsrError
from asr.runtime.engine import LogProbs, Wave, pad

_FLAGS = threading.Lock()
"""Held while cuDNN's flags, which are the whole process', are set."""


class TorchEngine:
    """Runs a bundle's weights in float32."""

    batch_seconds = 1920.0
    """About 1 MB of activations per second: 2 GB per batch."""

    def __init__(self, bundle: Bundle, device: str) -> None:
        self.device = device
        self._model = bundle.acoustic_model().to(device)
        self._columns = bundle.tokenizer.n_units + bundle.tokenizer.n_phones
        self._process = os.getpid()

    @torch.inference_mode()
    def __call__(self, waves: Sequence[Wave]) -> tuple[LogProbs, NDArray[np.int64]]:
        if os.getpid() != self._process:
            raise AsrError(
                "a recogniser that runs in torch cannot be used in a process that was forked from "
                "the one that loaded it: load it there, or start processes by spawn."
            )
        if not waves:
            return np.zeros((0, 0, self._columns), np.float32), np.zeros(0, np.int64)
        wave, wave_lengths = map(torch.from_numpy, pad(waves))
        # TF32 has ten bits: log-probabilities would move with the size of a batch (guarantee 1).
        # Without `enabled` they switch cuDNN off, and with it its LSTM.
        with _FLAGS, torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            log_probs, lengths = self._model(wave.to(self.device), wave_lengths.to(self.device))
        return log_probs.cpu().numpy(), lengths.cpu().numpy()
