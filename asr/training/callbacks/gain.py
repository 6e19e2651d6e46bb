"""Ends a run that gains nothing."""

from typing import Any, cast

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info

_FAIR = 0.5
"""Share of the steps before which nothing is judged: the rate is high there, and errors rise at
first also where they fall below those before training later."""


class StopWithoutGain(Callback):
    """Stops when the development set has no fewer errors than before training, nor falling ones.

    It judges from half of the steps on, on the weights that are validated: with `model.average`
    their average. The errors before are those of Lightning's sanity check, which must read the
    whole set: `trainer.num_sanity_val_steps: -1`. Which errors count, the model says in its
    `errors`.
    """

    def __init__(self) -> None:
        self._before: float | None = None
        self._last: float | None = None

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module = cast(Any, pl_module)
        errors = float(getattr(module.tallies["val"], module.monitored.removeprefix("val/")))
        if trainer.sanity_checking:
            self._before = errors
            return
        last, self._last = self._last, errors
        if self._before is None or last is None or errors < max(self._before, last):
            return
        if trainer.global_step >= _FAIR * trainer.estimated_stepping_batches:
            rank_zero_info("no fewer errors than before training, and they do not fall: stopped")
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"before": self._before, "last": self._last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before, self._last = state_dict["before"], state_dict.get("last")
