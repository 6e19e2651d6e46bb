"""One step of training a model of marks and capitals, and its validation."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from asr.errors import AsrError
from asr.model.config import PunctuationConfig
from asr.model.punctuation import PunctuationModel
from asr.punctuation.marks import COMMA, ENDS, EXCLAMATION, QUESTION, STOP
from asr.punctuation.model import CLASSES
from asr.punctuation.sound import SOUND
from asr.training import lstm_gradient
from asr.training.callbacks.averaging import AveragedWeights
from asr.training.checkpoint import describe_punctuation
from asr.training.optimizer import OptimizerConfig
from asr.training.punctuation.data import PunctuationData
from asr.training.punctuation.texts import ENDED, WITHIN
from asr.training.punctuation.windows import IGNORED, Windows
from asr.training.schedule import begin_step

_ENDS = sorted(ENDS)
_OTHERS = [mark for mark in range(CLASSES[1]) if mark not in ENDS]
_NAMED = {"comma": COMMA, "stop": STOP, "question": QUESTION, "exclamation": EXCLAMATION}


class PunctuationTraining(L.LightningModule):
    """Trains a `PunctuationModel`.

    Args:
        network: The layers of the model.
        optimizer: The optimizer and its schedule.
        paragraph_weight: Weight of the loss of paragraphs, beside those of cases and marks.
        average: Share of the steps so far that a running average of the weights spans, which
            validation, `best.ckpt` and `asr punctuation add` use; 0 for none.
    """

    monitored = "val/loss"
    """The metric that `best.ckpt` has the least of."""

    def __init__(
        self,
        network: PunctuationConfig = PunctuationConfig(),
        optimizer: OptimizerConfig = OptimizerConfig(),
        paragraph_weight: float = 0.2,
        average: float = 0.1,
    ) -> None:
        super().__init__()
        self.network = PunctuationModel(network, SOUND, CLASSES)
        lstm_gradient.install(self.network)
        self.optimizer = optimizer
        self.paragraph_weight = paragraph_weight
        self.average = average
        self._counts = torch.zeros(3, CLASSES[1] + 1)
        self._loss = torch.zeros(2)

    def configure_callbacks(self) -> Sequence[L.Callback]:
        return [AveragedWeights(self.average)] if self.average else []

    @property
    def data(self) -> PunctuationData:
        """The data module of the run."""
        data: PunctuationData = self.trainer.datamodule  # type: ignore[attr-defined]
        return data

    def on_train_batch_start(self, batch: Windows, batch_idx: int) -> None:  # noqa: ARG002
        begin_step(self, self.optimizer, self.data.seed)

    def training_step(self, batch: Windows, batch_idx: int) -> Tensor:  # noqa: ARG002
        losses = self._losses(batch, self.network(batch.pieces, batch.sound, batch.lengths))
        loss = losses[0] + losses[1] + self.paragraph_weight * losses[2]
        if not loss.isfinite():
            raise AsrError("the loss is not finite: lower model.optimizer.learning_rate.")
        for name, part in zip(("cases", "marks", "paragraphs"), losses, strict=True):
            self.log(f"train/{name}", part, batch_size=1)
        self.log("train/loss", loss, prog_bar=True, batch_size=1)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer.adamw(self.parameters())

    def on_validation_epoch_start(self) -> None:
        self._counts, self._loss = torch.zeros(3, CLASSES[1] + 1), torch.zeros(2)

    def validation_step(self, batch: Windows, batch_idx: int) -> None:  # noqa: ARG002
        found = self.network(batch.pieces, batch.sound, batch.lengths)
        known = batch.marks != IGNORED
        loss = sum(self._losses(batch, found)[:2], torch.zeros(()))
        self._loss += torch.tensor([float(loss) * int(known.sum()), int(known.sum())])
        pairs = [(found[1].argmax(-1)[known], batch.marks[known])]
        pairs.append((found[0].argmax(-1)[known] > 0, batch.cases[known] > 0))
        rows = [(chosen == mark, true == mark) for chosen, true in pairs[:1] for mark in range(8)]
        rows.append(pairs[1])
        for column, (chosen, true) in enumerate(rows):
            hits = chosen & true
            self._counts[:, column] += torch.stack([hits.sum(), chosen.sum(), true.sum()]).cpu()

    def on_validation_epoch_end(self) -> None:
        hits, chosen, true = self._counts
        f1 = 100 * 2 * hits / (chosen + true).clamp_min(1)
        self.log(
            "val/loss", self._loss[0] / self._loss[1].clamp_min(1), prog_bar=True, batch_size=1
        )
        scores = {f"val/{name}": f1[mark] for name, mark in _NAMED.items()}
        self.log_dict(scores | {"val/capital": f1[-1]}, prog_bar=True, batch_size=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        training = {"steps": self.trainer.global_step, "words": self.data.n_words}
        data = self.data
        describe_punctuation(checkpoint, self.network.config, data.forms, data.sources, training)

    def _losses(self, batch: Windows, found: Sequence[Tensor]) -> list[Tensor]:
        cases, marks, paragraphs = found
        # Where only the ends of sentences are known, classes 8 and 9: any mark that ends one, or
        # none of them.
        ends = marks[..., _ENDS].logsumexp(-1, keepdim=True)
        others = marks[..., _OTHERS].logsumexp(-1, keepdim=True)
        marks = torch.cat([marks, ends, others], dim=-1)
        true = batch.marks.where(batch.marks != ENDED, CLASSES[1])
        true = true.where(true != WITHIN, CLASSES[1] + 1)
        asked = ((cases, batch.cases), (marks, true), (paragraphs, batch.paragraphs))
        return [
            nll_loss(log_probs.flatten(0, 1), true.flatten(), ignore_index=IGNORED, reduction="sum")
            / (true != IGNORED).sum().clamp_min(1)
            for log_probs, true in asked
        ]
