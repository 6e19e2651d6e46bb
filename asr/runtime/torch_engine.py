"""The acoustic model in torch: one padded batch a call, on a GPU or (slower) on the CPU."""

from collections.abc import Sequence

import torch
from torch import Tensor

from asr.bundle import Bundle
from asr.runtime.engine import Wave, pad


class TorchEngine:
    """Runs a bundle's weights in float32."""

    batch_seconds = 1920.0
    """About 1 MB of activations a second: 2 GB a batch."""

    def __init__(self, bundle: Bundle, device: str) -> None:
        self.device = device
        self._model = bundle.acoustic_model().to(device)
        self._n_units = bundle.tokenizer.n_units

    @torch.inference_mode()
    def __call__(self, waves: Sequence[Wave]) -> tuple[Tensor, Tensor]:
        if not waves:
            return torch.zeros(0, 0, self._n_units, device=self.device), torch.zeros(0).long()
        wave, wave_lengths = map(torch.from_numpy, pad(waves))
        # TF32 has ten bits: log-probabilities would move with the size of a batch (law 1).
        with torch.backends.cudnn.flags(allow_tf32=False):
            log_probs, _ = self._model(wave.to(self.device), wave_lengths.to(self.device))
        # Known on the host without waiting for the device.
        return log_probs, self._model.config.frames(wave_lengths)
