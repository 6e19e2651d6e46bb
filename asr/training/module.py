"""One training step, one validation step, and the schedule between them.

Shapes: B batch, S samples, T feature frames, F mels, U output frames, V units, H hidden.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from asr.bundle import describe, trained_before
from asr.corpus import Batch, Utterance
from asr.errors import BadOption
from asr.model import AcousticModel, ModelConfig
from asr.model.acoustic import spell
from asr.text import Tokenizer
from asr.training.augment import Augment, NoiseBank
from asr.training.averaging import AveragedWeights
from asr.training.data import SpeechData
from asr.training.effects import SpecAugment
from asr.training.forgetting import Forgetting
from asr.training.guard import Guard
from asr.training.memory import GivesBack
from asr.training.objective import Consistency, Losses, disagreement, frames_needed, reachable_ctc
from asr.training.optimizer import OptimizerConfig
from asr.training.pace import Pace
from asr.training.rehearsal import rehearse
from asr.training.start import Freeze, Start, measure_features
from asr.training.validation import Tally


class CtcTraining(L.LightningModule):
    """Trains an `AcousticModel` with connectionist temporal classification.

    Args:
        network: The layers of the acoustic model.
        n_units: Number of units, blank included; linked from `data.units`.
        optimizer: The optimizer and its schedule.
        loss_per: Whether a step's loss is stated in nats per token or per utterance.
        augment: Speed, rooms, noise, gain and masks for training clips; without it, none.
        consistency: Two masked views of each clip that must agree; needs `augment.masks`.
        middle_layer: The recurrent layer, counted from 1, behind which a second CTC loss is taken
            (Lee & Watanabe, "Intermediate loss regularization for CTC", 2021); 0 for none.
        middle_weight: Share of that loss in the whole.
        average: Decay of a running average of the weights, which validation, `best.ckpt` and
            `asr export` see; 0 for none.
        patience: Steps in a row with a loss or gradient that is not finite before training stops.
        init_from: The folder of a bundle, or a checkpoint, whose weights training starts from.
        freeze: What of these is held still at first; without it, nothing.
    """

    def __init__(
        self,
        network: ModelConfig = ModelConfig(),
        n_units: int = 29,
        optimizer: OptimizerConfig = OptimizerConfig(),
        loss_per: Literal["token", "utterance"] = "token",
        augment: Augment | None = None,
        consistency: Consistency | None = None,
        middle_layer: int = 0,
        middle_weight: float = 0.3,
        average: float = 0.0,
        patience: int = 20,
        init_from: Path | None = None,
        freeze: Freeze | None = None,
    ) -> None:
        super().__init__()
        _refuse(network, augment, consistency, middle_layer, middle_weight, patience)
        self.network = AcousticModel(network, n_units)
        self.optimizer = optimizer
        self.per_token = loss_per == "token"
        self.augment = augment
        self.consistency = consistency
        self.middle_layer = middle_layer
        self.middle_weight = middle_weight
        # Its own: the network's head may go on to spell while the middle still gathers evidence.
        self.middle_head = nn.Linear(2 * network.hidden, n_units) if middle_layer else None
        self.average = average
        self.patience = patience
        self.init_from = init_from
        self._held = [] if freeze is None else list(freeze.held(self.network))
        self._held_epochs = 0 if freeze is None else freeze.epochs
        self._noise: NoiseBank | None = None
        self._before: dict[str, Any] | None = None  # the training of the weights it started from
        self.tallies: dict[str, Tally] = {}
        """What each development set has shown in the last validation: `val`, `old`, `test`."""

    def configure_callbacks(self) -> Sequence[L.Callback]:
        callbacks: list[L.Callback] = [Guard(self.patience), Pace(), GivesBack()]
        if self.average:
            callbacks.append(AveragedWeights(self.average))
        if self.init_from is not None and self.data.old_dev is not None:
            callbacks.append(Forgetting(self.init_from))
        return callbacks

    @property
    def data(self) -> SpeechData:
        """The data module of the run."""
        data: SpeechData = self.trainer.datamodule  # type: ignore[attr-defined]
        return data

    @property
    def heard(self) -> list[tuple[Utterance, str]]:
        """The utterances of the last validation, and what was heard in each."""
        return [(heard.utterance, heard.text) for heard in self.tallies["val"].heard]

    @property
    def tokenizer(self) -> Tokenizer:
        """The units of the run."""
        return self.data.tokenizer

    def on_fit_start(self) -> None:
        if self.augment is not None and self.augment.noise is not None:
            self._noise = NoiseBank(self.augment.noise, self.data.root)
        if self.trainer.ckpt_path is not None:
            return
        if self.init_from is not None:
            start = Start.read(self.init_from)
            start.load_into(self.network, self.tokenizer)
            self._before = start.training
        elif self.network.config.features.normalize == "corpus":
            measure_features(self.network, self.data.parts["train"].dataset, self.device)

    def on_train_start(self) -> None:
        # Not before: asking earlier starts the loader's processes before a resumed run knows
        # which epoch it is in.
        if not math.isfinite(self.trainer.estimated_stepping_batches):
            raise BadOption(
                "training has no end: set trainer.max_epochs or trainer.max_steps, over which the "
                "learning rate rises and falls."
            )
        slowest = self.augment.speed.slowest if self.augment and self.augment.speed else 1.0
        rehearse(self, self.data.worst_batch(slowest), self._loss_of, self.data.batch_seconds)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        # Dropout and augmentation draw from generators that each step seeds: a resumed run draws
        # what an uninterrupted one would have, and no generator's state needs to be kept.
        seen = self.trainer.fit_loop.epoch_loop.batch_progress.total.ready
        torch.manual_seed((self.data.seed * 1_000_003 + seen) * 1_009 + self.global_rank)
        # Set at each step from the config alone: what a checkpoint remembers of its optimizer's
        # settings gives way to it.
        steps = int(self.trainer.estimated_stepping_batches)
        rate = self.optimizer.rate(self.trainer.global_step, steps)
        momentum = self.optimizer.momentum(self.trainer.global_step, steps)
        for group in self.trainer.optimizers[0].param_groups:
            group.update(lr=rate, weight_decay=self.optimizer.weight_decay)
            group["betas"] = (momentum, group["betas"][1])
            group["fused"] = self.device.type == "cpu"  # three times as fast there
        self.log("train/learning_rate", rate, batch_size=1)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:  # noqa: ARG002
        wave, wave_lengths = batch.wave, batch.wave_lengths
        augment = self.augment
        if augment is not None and self.current_epoch < augment.first_epoch:
            augment = None
        if augment is not None:
            wave, wave_lengths = augment.waves(wave, wave_lengths, self._noise, self._fits(batch))
        losses = self.losses(wave, wave_lengths, batch, None if augment is None else augment.masks)
        loss = self._total(losses, batch, log=True)
        return {"loss": loss, "losses": losses.ctc.detach(), "reachable": losses.reachable}

    def losses(
        self, wave: Tensor, wave_lengths: Tensor, batch: Batch, masks: SpecAugment | None
    ) -> Losses:
        """What each utterance costs, heard as `wave` `(B, S)`."""
        network = self.network
        features, lengths = network.features(wave, wave_lengths)
        if self.consistency is not None and masks is not None:
            features, lengths = features.repeat(2, 1, 1), lengths.repeat(2)  # (2 B, T, F)
        if masks is not None:
            features = masks(features)
        states, lengths = network.states(features, lengths)
        middle = None
        for layer, state in enumerate(states, start=1):  # (B, U, 2 H)
            if layer == self.middle_layer and self.middle_head is not None:
                log_probs = spell(self.middle_head, state)
                middle, _ = reachable_ctc(log_probs, lengths, batch.units, batch.unit_lengths)
        log_probs = spell(network.head, state)
        losses, reachable = reachable_ctc(log_probs, lengths, batch.units, batch.unit_lengths)
        two = len(log_probs) > len(batch.wave)
        return Losses(losses, reachable, middle, disagreement(log_probs, lengths) if two else None)

    def _total(self, losses: Losses, batch: Batch, log: bool) -> Tensor:
        """The loss of a step, a scalar: of all processes together once gradients are averaged."""
        counted = batch.unit_lengths if self.per_token else torch.ones_like(batch.unit_lengths)
        count = (counted * losses.reachable).sum().float()
        if log:  # else processes would wait for one another
            count = self.trainer.strategy.reduce(count, reduce_op="mean")
        count = count.clamp_min(1.0)
        total = stated = losses.ctc.sum() / count
        parts = {"loss": stated}
        if losses.middle is not None:
            parts["middle_loss"] = losses.middle.sum() / count
            total = (1.0 - self.middle_weight) * total + self.middle_weight * parts["middle_loss"]
        if losses.views is not None and self.consistency is not None:
            parts["disagreement"] = losses.views.sum() / count
            weight = self.consistency.weight_at(self.trainer.global_step)
            total = total + weight * parts["disagreement"]
        for name, part in parts.items() if log else ():
            self.log(f"train/{name}", part, prog_bar=name == "loss", batch_size=1, sync_dist=True)
        return total

    def _loss_of(self, batch: Batch) -> Tensor:
        masks = None if self.augment is None else self.augment.masks
        return self._total(self.losses(batch.wave, batch.wave_lengths, batch, masks), batch, False)

    def _fits(self, batch: Batch) -> Callable[[Tensor], bool]:
        needed = frames_needed(batch.units, batch.unit_lengths)
        return lambda samples: bool((self.network.config.frames(samples) >= needed).all())

    def on_after_backward(self) -> None:
        if self.current_epoch < self._held_epochs:
            for weight in self._held:
                weight.grad = None  # the optimizer passes over weights without a gradient

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters(),
            lr=self.optimizer.learning_rate,
            weight_decay=self.optimizer.weight_decay,
        )

    def on_validation_epoch_start(self) -> None:
        self.tallies = {"val": Tally()} | ({"old": Tally()} if "old" in self.data.parts else {})

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        self._measure(batch, list(self.tallies.values())[dataloader_idx])

    def on_validation_epoch_end(self) -> None:
        self._report("val")
        if "old" in self.tallies:
            self._report("old")

    def on_test_epoch_start(self) -> None:
        self.tallies = {"test": Tally()}

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        self._measure(batch, self.tallies["test"])

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _measure(self, batch: Batch, tally: Tally) -> None:
        log_probs, lengths = self.network(batch.wave, batch.wave_lengths)
        tally.add(log_probs, lengths, batch, self.tokenizer)

    def _report(self, stage: str) -> None:
        tally = self.tallies[stage] = self.tallies[stage].gathered()
        bar = {f"{stage}/loss": tally.loss(self.per_token), f"{stage}/wer": tally.wer}
        self.log_dict(bar, prog_bar=True, batch_size=1)
        self.log_dict({f"{stage}/cer": tally.cer, f"{stage}/blank": tally.blank}, batch_size=1)
        if self.trainer.sanity_checking:
            return
        said = tally.explain(stage)
        rank_zero_info(f"\nepoch {self.current_epoch}, {said}")
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text(f"{stage}/example", said, self.global_step)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._before = trained_before(checkpoint)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what `asr export` needs, so that a checkpoint stands without its run."""
        training = {
            "epochs": self.current_epoch + 1,
            "steps": self.global_step,
            "hours": round(self.data.parts["train"].hours, 2),
            "before": self._before,
        }
        describe(checkpoint, self.network.config, self.tokenizer, self.data.sources, training)


def _refuse(
    network: ModelConfig,
    augment: Augment | None,
    consistency: Consistency | None,
    middle_layer: int,
    middle_weight: float,
    patience: int,
) -> None:
    """BadOption where settings contradict one another."""
    if consistency is not None and (augment is None or augment.masks is None):
        raise BadOption(
            "model.consistency compares two masked views of a clip: set model.augment.masks too."
        )
    if not 0 <= middle_layer < network.layers or not 0 < middle_weight < 1:
        raise BadOption(
            f"a loss behind layer {middle_layer} with weight {middle_weight} cannot be: give "
            f"model.middle_layer below {network.layers}, the last layer, or 0 for none, and "
            "model.middle_weight between 0 and 1."
        )
    if patience < 0:
        raise BadOption(f"model.patience {patience} cannot be: give 0 or more steps.")
