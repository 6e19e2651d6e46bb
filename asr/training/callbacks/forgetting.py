"""How much a fine-tuned model has forgotten."""

from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info

from asr.training.data.module import SpeechData
from asr.training.initial_weights import InitialWeights
from asr.training.validation import Tally, UtteranceResult, best_paths, written


class Forgetting(Callback):
    """Measures `data.old_dev` with the initial weights, and compares with that at each epoch.

    Args:
        init_from: bundle or checkpoint of the initial weights, measured in their own units.
    """

    def __init__(self, init_from: Path) -> None:
        self._init_from = init_from
        self._before: float | None = None

    @torch.no_grad()
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._before is not None:  # resumed
            return
        initial, tally = InitialWeights.read(self._init_from), Tally()
        model = initial.model.to(pl_module.device)
        data = cast(SpeechData, trainer.datamodule)  # type: ignore[attr-defined]
        with trainer.precision_plugin.forward_context():
            for batch in data.old_batches():
                batch = batch.to(pl_module.device)
                log_probs, lengths = model(batch.wave, batch.wave_lengths)
                letters = log_probs[:, :, : initial.tokenizer.n_units]
                hypotheses = best_paths(letters, lengths)
                for utterance, hypothesis in zip(batch.utterances, hypotheses, strict=True):
                    tally.results.append(
                        UtteranceResult(utterance, written(hypothesis, initial.tokenizer))
                    )
        self._before = tally.gathered().wer
        rank_zero_info(f"old development set: WER {self._before:.2%} before training")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        tally = cast(Any, pl_module).tallies.get("old")  # `asr validate` reads no old set
        if self._before is None or tally is None or trainer.sanity_checking:
            return
        after = tally.wer
        rank_zero_info(
            f"forgotten of the old development set: WER {self._before:.2%} -> {after:.2%}"
        )
        for logger in trainer.loggers:
            logger.log_metrics({"old/forgotten": after - self._before}, trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        return {"before": self._before}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict["before"]
