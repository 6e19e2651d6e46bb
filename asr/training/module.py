"""A run: its losses, its training and validation steps, and what a checkpoint keeps of it.

Shapes: B batch, S samples, T feature frames, F mels, U output frames, V units, D layers' width.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from asr.corpus import Utterance
from asr.corpus.dataset import Batch
from asr.errors import BadOption
from asr.model import AcousticModel, ModelConfig
from asr.model.acoustic import spell
from asr.text import Tokenizer
from asr.text.languages import UNSPACED
from asr.training import lstm_gradient
from asr.training.augmentation import Augment, NoiseBank, SpecAugment
from asr.training.callbacks.averaging import AveragedWeights
from asr.training.callbacks.forgetting import Forgetting
from asr.training.callbacks.guard import Guard
from asr.training.callbacks.memory import MemoryTrimmer
from asr.training.callbacks.throughput import Throughput
from asr.training.checkpoint import describe, trained_before
from asr.training.data.module import SpeechData
from asr.training.initial_weights import Freeze, InitialWeights, check_statistics, measure_features
from asr.training.objective import Consistency, Losses, disagreement, frames_needed, reachable_ctc
from asr.training.optimizer import OptimizerConfig
from asr.training.rehearsal import rehearse
from asr.training.schedule import begin_step
from asr.training.validation import Tally


class CtcTraining(L.LightningModule):
    """Trains an `AcousticModel` with connectionist temporal classification.

    Args:
        network: The layers of the acoustic model.
        n_units: Number of units, blank included; linked from `data.units`.
        n_phones: Number of phones of a second head, blank and space included, 0 for none; linked
            from `data.units`.
        optimizer: The optimizer and its schedule.
        loss_per: Whether a step's loss is stated in nats per token or per utterance.
        augment: Speed, rooms, noise, gain and masks for training clips; without it, none.
        consistency: Two masked views of each clip that must agree; needs `augment.masks`.
        phone_weight: Share of the phone head's loss, if there is one; the rest is that of the
            letters.
        middle_layer: The recurrent layer, counted from 1, after which a second CTC loss is computed
            (Lee & Watanabe, "Intermediate loss regularization for CTC", 2021); 0 for none. It is
            computed on phones, if there are some: they are closer to the sound than letters. The
            layer of `network.self_conditioning`, if there is one, whose head it trains.
        middle_weight: Share of that loss in the total.
        average: Share of the steps so far that a running average of the weights spans, which
            validation, `best.ckpt` and `asr export` use; 0 for none.
        patience: Steps in a row with a loss or gradient that is not finite before training stops.
        init_from: The folder of a bundle, or a checkpoint, with the initial weights.
        freeze: Which of these weights are frozen at first; without it, none.
    """

    def __init__(
        self,
        network: ModelConfig = ModelConfig(),
        n_units: int = 29,
        n_phones: int = 0,
        optimizer: OptimizerConfig = OptimizerConfig(),
        loss_per: Literal["token", "utterance"] = "token",
        augment: Augment | None = None,
        consistency: Consistency | None = None,
        phone_weight: float = 0.6,
        middle_layer: int = 0,
        middle_weight: float = 0.3,
        average: float = 0.0,
        patience: int = 20,
        init_from: Path | None = None,
        freeze: Freeze | None = None,
    ) -> None:
        super().__init__()
        _refuse(network, augment, consistency, middle_layer, middle_weight, patience)
        self.network = AcousticModel(network, n_units, n_phones)
        lstm_gradient.install(self.network)
        self.phone_weight = phone_weight
        self.optimizer = optimizer
        self.per_token = loss_per == "token"
        self.augment = augment
        self.consistency = consistency
        self.middle_layer = middle_layer
        self.middle_weight = middle_weight
        # A head of its own: the network's head spells, the middle layers still gather evidence.
        own = middle_layer and not network.self_conditioning
        self.middle_head = nn.Linear(network.width, n_phones or n_units) if own else None
        self.average = average
        self.patience = patience
        self.init_from = init_from
        self._held = [] if freeze is None else list(freeze.held(self.network))
        self._held_epochs = 0 if freeze is None else freeze.epochs
        self._noise: NoiseBank | None = None
        self._before: dict[str, Any] | None = None  # how the initial weights were trained
        self.tallies: dict[str, Tally] = {}
        """The results of the last validation by development set: `val`, `old`, `test`."""

    def configure_callbacks(self) -> Sequence[L.Callback]:
        callbacks: list[L.Callback] = [Guard(self.patience), Throughput(), MemoryTrimmer()]
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
    def monitored(self) -> str:
        """The metric that `best.ckpt` has least of: errors in phones, characters or words."""
        if self.network.phone_head is not None:
            return "val/per"
        return "val/cer" if self.data.language in UNSPACED else "val/wer"

    @property
    def results(self) -> list[tuple[Utterance, str]]:
        """The utterances of the last validation, and the text recognised in each."""
        return [(result.utterance, result.text) for result in self.tallies["val"].results]

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
            initial = InitialWeights.read(self.init_from)
            initial.load_into(self.network, self.tokenizer)
            self._before = initial.training
        elif self.network.config.features.normalize == "corpus":
            measure_features(self.network, self.data.splits["train"].dataset, self.device)

    def on_train_start(self) -> None:
        # Not earlier: that would start the loader's processes before a resumed run knows its
        # epoch.
        if not math.isfinite(self.trainer.estimated_stepping_batches):
            raise BadOption(
                "training has no end: set trainer.max_epochs or trainer.max_steps, over which the "
                "learning rate rises and falls."
            )
        check_statistics(self.network.features)
        slowest = self.augment.speed.slowest if self.augment and self.augment.speed else 1.0
        rehearse(self, self.data.worst_batch(slowest), self._loss_of, self.data.batch_seconds)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        begin_step(self, self.optimizer, self.data.seed)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:  # noqa: ARG002
        wave, wave_lengths = batch.wave, batch.wave_lengths
        augment = self.augment
        if augment is not None and self.current_epoch < augment.first_epoch:
            augment = None
        if augment is not None:
            wave, wave_lengths = augment.waves(
                wave, wave_lengths, self._noise, self._fits(batch), always=batch.synthetic
            )
        losses = self.losses(wave, wave_lengths, batch, None if augment is None else augment.masks)
        loss = self._total(losses, batch, log=True)
        return {"loss": loss, "losses": losses.ctc.detach(), "reachable": losses.reachable}

    def losses(
        self, wave: Tensor, wave_lengths: Tensor, batch: Batch, masks: SpecAugment | None
    ) -> Losses:
        """The losses of each utterance, given as `wave` `(B, S)`."""
        network = self.network
        features, lengths = network.features(wave, wave_lengths)
        if self.consistency is not None and masks is not None:
            features, lengths = features.repeat(2, 1, 1), lengths.repeat(2)  # (2 B, T, F)
        if masks is not None:
            features = masks(features, lengths)
        layers, lengths = network.states(features, lengths)
        states = list(layers)  # (B, U, D) of each; the gradient needs them all
        conditioning = network.recurrent.conditioning
        middle_head = self.middle_head if conditioning is None else conditioning.head
        middle = phones = None
        if self.middle_layer and middle_head is not None:
            gathered = spell(middle_head, states[self.middle_layer - 1])
            middle, _ = reachable_ctc(gathered, lengths, *batch.lowest)
        heads = network.spelled(states)  # (B, U, V) of each
        losses, reachable = reachable_ctc(heads[0], lengths, batch.units, batch.unit_lengths)
        if len(heads) > 1:
            phones, _ = reachable_ctc(heads[1], lengths, *batch.lowest)
        apart = None
        if len(lengths) > len(batch.wave):  # two views
            apart = torch.stack([disagreement(head, lengths) for head in heads]).mean(0)
        return Losses(losses, reachable, phones, middle, apart)

    def _total(self, losses: Losses, batch: Batch, log: bool) -> Tensor:
        """The loss of a step, a scalar: that of all processes once their gradients are averaged."""
        counted = batch.unit_lengths if self.per_token else torch.ones_like(batch.unit_lengths)
        count = (counted * losses.reachable).sum().float()
        if log:  # else processes would wait for one another
            count = self.trainer.strategy.reduce(count, reduce_op="mean")
        count = count.clamp_min(1.0)
        total = stated = losses.ctc.sum() / count
        parts = {"loss": stated}
        if losses.phones is not None:
            parts["phone_loss"] = losses.phones.sum() / count
            total = (1.0 - self.phone_weight) * total + self.phone_weight * parts["phone_loss"]
        if losses.middle is not None:
            parts["middle_loss"] = losses.middle.sum() / count
            total = (1.0 - self.middle_weight) * total + self.middle_weight * parts["middle_loss"]
        if losses.disagreement is not None and self.consistency is not None:
            parts["disagreement"] = losses.disagreement.sum() / count
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
                weight.grad = None  # the optimizer skips weights without a gradient

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer.adamw(self.parameters())

    def on_validation_epoch_start(self) -> None:
        self.tallies = {"val": Tally()} | ({"old": Tally()} if "old" in self.data.splits else {})

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
        more = {f"{stage}/cer": tally.cer, f"{stage}/blank": tally.blank}
        if self.network.phone_head is not None:
            more[f"{stage}/per"] = tally.per
        self.log_dict(more, batch_size=1)
        if self.trainer.sanity_checking:
            return
        said = tally.explain(stage)
        rank_zero_info(f"\nepoch {self.current_epoch}, {said}")
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text(f"{stage}/example", said, self.global_step)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._before = trained_before(checkpoint)
        if self.trainer.state.fn == TrainerFn.FITTING:
            self.optimizer.refuse_other_groups(checkpoint)

    @property
    def _hours(self) -> float:
        """Of all speech that is trained on."""
        splits = self.data.splits.items()
        return sum(split.hours for name, split in splits if name == "train" or "shares." in name)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what `asr export` needs, so that a checkpoint is enough without its run."""
        training = {
            "epochs": self.current_epoch + 1,
            "steps": self.global_step,
            "hours": round(self._hours, 2),
            "before": self._before,
        }
        describe(
            checkpoint,
            self.network.config,
            self.tokenizer,
            self.data.sources,
            training,
            self.data.language,
        )


def _refuse(
    network: ModelConfig,
    augment: Augment | None,
    consistency: Consistency | None,
    middle_layer: int,
    middle_weight: float,
    patience: int,
) -> None:
    """BadOption if settings contradict each other."""
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
    if network.self_conditioning not in (0, middle_layer):
        raise BadOption(
            f"the head of model.network.self_conditioning behind layer {network.self_conditioning} "
            f"would not be trained: set model.middle_layer {network.self_conditioning} too."
        )
    if patience < 0:
        raise BadOption(f"model.patience {patience} cannot be: give 0 or more steps.")
