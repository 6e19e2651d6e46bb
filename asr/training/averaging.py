"""A running average of the weights beside those that are trained."""

import lightning as L
from lightning.pytorch.callbacks import EMAWeightAveraging

from asr.errors import BadOption


class AveragedWeights(EMAWeightAveraging):
    """Lightning's exponential moving average over all steps, from the first one on.

    Validation, `best.ckpt`, `asr export` and the end of training see the average; a checkpoint
    holds the weights in training beside it.

    Args:
        decay: of the average at each step: 0.999 spans the last thousand steps or so.
    """

    def __init__(self, decay: float) -> None:
        if not 0.0 < decay < 1.0:
            raise BadOption(f"model.average {decay} is no decay: give one between 0 and 1.")
        super().__init__(decay=decay)

    # Before the first step Lightning's average is a copy of the module as it was built: without
    # the statistics of the features, and without the weights that training starts from.

    def _swap_models(self, pl_module: L.LightningModule) -> None:
        if self._has_begun:
            super()._swap_models(pl_module)

    def _copy_average_to_current(self, pl_module: L.LightningModule) -> None:
        if self._has_begun:
            super()._copy_average_to_current(pl_module)

    @property
    def _has_begun(self) -> bool:
        return self._average_model is not None and bool(self._average_model.n_averaged > 0)
