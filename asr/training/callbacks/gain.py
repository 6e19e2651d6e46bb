"""Ends a run that gains nothing."""

from typing import Any, cast

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info


class StopWithoutGain(Callback):
    """Stops when the development set has no fewer errors than before training, twice in a row.

    The errors before are those of Lightning's sanity check, which must read the whole set:
    `trainer.num_sanity_val_steps: -1`. Which errors count, the model says in its `errors`.
    """

    def __init__(self) -> None:
        self._before: float | None = None
        self._in_a_row = 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module = cast(Any, pl_module)
        errors = float(getattr(module.tallies["val"], module.errors.removeprefix("val/")))
        if trainer.sanity_checking:
            self._before = errors
        elif self._before is not None:
            self._in_a_row = self._in_a_row + 1 if errors >= self._before else 0
            if self._in_a_row > 1:
                rank_zero_info("no fewer errors than before training, twice in a row: stopped")
                trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"before": self._before, "in_a_row": self._in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before, self._in_a_row = state_dict["before"], state_dict["in_a_row"]
