"""One training step, one validation step, and the schedule between them.

Shapes: B batch, S samples, T feature frames, U output frames, V units.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from asr.bundle import Checkpoint, describe
from asr.corpus import Batch
from asr.decoding import greedy
from asr.errors import BadOption
from asr.model import AcousticModel, ModelConfig
from asr.model.lengths import valid_frames
from asr.text import BLANK, Tokenizer
from asr.training.augment import Augment, NoiseBank
from asr.training.data import SpeechData

_STATISTICS_CLIPS = 400  # about half an hour of speech: band means settle within 0.02


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with one cycle of the learning rate."""

    learning_rate: float = 1e-3
    """The peak."""
    warmup: float = 0.1
    """Share of all steps in which the rate rises from a tenth to its peak."""
    final: float = 0.01
    """The rate of the last step, as a share of the peak; the fall follows a cosine."""
    weight_decay: float = 0.01
    """AdamW's decoupled decay of weights."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or not 0 <= self.warmup < 1 or self.weight_decay < 0:
            raise BadOption(
                f"the optimizer cannot have learning_rate {self.learning_rate}, warmup "
                f"{self.warmup} and weight_decay {self.weight_decay}: give a positive rate, a "
                "share of steps below 1, and no negative decay."
            )

    def rate(self, step: int, steps: int) -> float:
        """The rate at `step` of `steps`: a pure function, so a resumed run obeys its config."""
        progress = min(1.0, step / max(1, steps))
        if progress < self.warmup:
            return self.learning_rate * (0.1 + 0.9 * progress / self.warmup)
        fallen = (progress - self.warmup) / max(1e-9, 1.0 - self.warmup)
        cosine = 0.5 * (1.0 + math.cos(math.pi * fallen))
        return self.learning_rate * (self.final + (1.0 - self.final) * cosine)


@dataclass
class _Tally:
    """What validation has seen so far."""

    references: list[str]
    hypotheses: list[str]
    blank_frames: int = 0
    frames: int = 0


class CtcTraining(L.LightningModule):
    """Trains an `AcousticModel` with connectionist temporal classification.

    Args:
        network: The layers of the acoustic model.
        n_units: Number of units, blank included; linked from `data.units`.
        optimizer: The optimizer and its schedule.
        augment: Speed, rooms, noise, gain and masks for training clips; without it, none.
        init_from: A bundle or a checkpoint whose weights training starts from.
        middle_layer: The recurrent layer, counted from 1, behind which a second CTC loss is taken
            (Lee & Watanabe, "Intermediate loss regularization for CTC", 2021); 0 for none.
        middle_weight: Share of that loss in the whole.
    """

    def __init__(
        self,
        network: ModelConfig = ModelConfig(),
        n_units: int = 29,
        optimizer: OptimizerConfig = OptimizerConfig(),
        augment: Augment | None = None,
        init_from: Path | None = None,
        middle_layer: int = 0,
        middle_weight: float = 0.3,
    ) -> None:
        super().__init__()
        self.network = AcousticModel(network, n_units)
        self.optimizer = optimizer
        self.augment = augment
        self.init_from = init_from
        self.middle_layer = middle_layer
        self.middle_weight = middle_weight
        # Its own: the network's head may go on to spell while the middle still gathers evidence.
        self.middle_head = nn.Linear(2 * network.hidden, n_units) if middle_layer else None
        self._noise: NoiseBank | None = None
        # Native kernels are chosen by int64 targets; cuDNN's CTC has given wrong gradients
        # (pytorch#21680). Loss in fp32.
        self.loss = torch.nn.CTCLoss(blank=BLANK, reduction="none")
        self._tally = _Tally([], [])

    @property
    def data(self) -> SpeechData:
        """The data module of the run."""
        data: SpeechData = self.trainer.datamodule  # type: ignore[attr-defined]
        return data

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
            self.network.load_state_dict(Checkpoint.read(self.init_from).model.state_dict())
        elif self.network.config.features.normalize == "corpus":
            self._measure_features()

    def on_train_start(self) -> None:
        # Not before: asking earlier starts the loader's processes before a resumed run knows
        # which epoch it is in.
        if not math.isfinite(self.trainer.estimated_stepping_batches):
            raise BadOption(
                "training has no end: set trainer.max_epochs or trainer.max_steps, over which the "
                "learning rate rises and falls."
            )

    @torch.no_grad()
    def _measure_features(self) -> None:
        """Set the mean and deviation of each mel band from a sample of the training clips."""
        dataset = self.data.parts["train"].dataset
        step = -(-len(dataset) // _STATISTICS_CLIPS)
        features = self.network.features
        energies = torch.cat(
            [
                features.energies(dataset[index].wave[None].to(self.device))[0]
                for index in range(0, len(dataset), step)
            ]
        )  # (T of all, F)
        features.mean.copy_(energies.mean(0))
        features.deviation.copy_(energies.std(0).clamp_min(1e-3))

    def losses(self, log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
        """CTC loss of each utterance in nats, `(B,)` float32."""
        per_frame = log_probs.float().transpose(0, 1)  # (B, U, V) -> (U, B, V)
        losses: Tensor = self.loss(per_frame, batch.units, lengths, batch.unit_lengths)
        return losses

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        augment = self.augment
        if augment is not None and self.current_epoch < augment.first_epoch:
            augment = None
        wave, wave_lengths = batch.wave, batch.wave_lengths
        if augment is not None:
            wave, wave_lengths = augment.waves(wave, wave_lengths, self._noise, self._fits(batch))
        features, lengths = self.network.features(wave, wave_lengths)
        if augment is not None and augment.masks is not None:
            features = augment.masks(features)
        log_probs, lengths, middle = self._heads(features, lengths)
        tokens = batch.unit_lengths.sum()
        loss = self.losses(log_probs, lengths, batch).sum() / tokens
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.utterances))
        if middle is None:
            return loss
        middle_loss = self.losses(middle, lengths, batch).sum() / tokens
        self.log("train/middle_loss", middle_loss, batch_size=len(batch.utterances))
        return (1.0 - self.middle_weight) * loss + self.middle_weight * middle_loss

    def _heads(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Log-probabilities at the top and, where it has a head, in the middle: `(B, U, V)`."""
        if self.middle_head is None:
            return *self.network.encode(features, lengths), None
        states: list[Tensor] = []
        norm = self.network.recurrent.norms[self.middle_layer - 1]
        with norm.register_forward_hook(lambda _module, _inputs, output: states.append(output)):
            log_probs, lengths = self.network.encode(features, lengths)
        return log_probs, lengths, self.middle_head(states[0]).float().log_softmax(-1)

    def _fits(self, batch: Batch) -> Callable[[Tensor], bool]:
        repeats = (batch.units[:, 1:] == batch.units[:, :-1]) & (batch.units[:, 1:] != BLANK)
        needed = batch.unit_lengths + repeats.sum(1)  # as `asr.corpus.frames_needed`
        return lambda samples: bool((self.network.config.frames(samples) >= needed).all())

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        # Dropout and augmentation draw from generators that each step seeds: a resumed run draws
        # what an uninterrupted one would have, and no generator's state needs to be kept.
        seen = self.trainer.fit_loop.epoch_loop.batch_progress.total.ready
        torch.manual_seed((self.data.seed * 1_000_003 + seen) * 1_009 + self.global_rank)
        # Set at each step from the config alone: what a checkpoint remembers of its optimizer's
        # settings gives way to it.
        steps = int(self.trainer.estimated_stepping_batches)
        rate = self.optimizer.rate(self.trainer.global_step, steps)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate
            group["weight_decay"] = self.optimizer.weight_decay
        self.log("train/learning_rate", rate, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters(),
            lr=self.optimizer.learning_rate,
            weight_decay=self.optimizer.weight_decay,
        )

    def on_validation_epoch_start(self) -> None:
        self._tally = _Tally([], [])

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        self._measure(batch, "val")

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_start(self) -> None:
        self._tally = _Tally([], [])

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        self._measure(batch, "test")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _measure(self, batch: Batch, stage: str) -> None:
        log_probs, lengths = self.network(batch.wave, batch.wave_lengths)
        losses = self.losses(log_probs, lengths, batch)
        finite = losses.isfinite()  # an unreachable text has no path: its loss is infinite
        tokens = int(batch.unit_lengths[finite].sum())
        if tokens:
            loss = losses[finite].sum() / tokens
            self.log(f"{stage}/loss", loss, batch_size=tokens, prog_bar=True)
        tally = self._tally
        for utterance, hypothesis in zip(batch.utterances, greedy(log_probs, lengths), strict=True):
            tally.references.append(utterance.text)
            tally.hypotheses.append(self.tokenizer.decode(hypothesis.units))
        best = log_probs.argmax(-1)  # (B, U)
        valid = valid_frames(lengths, best.shape[1])
        tally.blank_frames += int(((best == BLANK) & valid).sum())
        tally.frames += int(lengths.sum())

    def _report(self, stage: str) -> None:
        tally = self._tally
        wer = jiwer.wer(tally.references, tally.hypotheses)
        cer = jiwer.cer(tally.references, tally.hypotheses)
        blank = tally.blank_frames / max(1, tally.frames)
        self.log_dict({f"{stage}/cer": cer, f"{stage}/blank": blank}, batch_size=1)
        self.log(f"{stage}/wer", wer, prog_bar=True, batch_size=1)
        example = f"said:  {tally.references[0]}\nheard: {tally.hypotheses[0]}"
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text(f"{stage}/example", example, self.global_step)
        if not self.trainer.sanity_checking:
            rank_zero_info(
                f"\nepoch {self.current_epoch}: WER {wer:.2%}, CER {cer:.2%}, "
                f"blank {blank:.1%}\n{example}"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what `asr export` needs, so that a checkpoint stands without its run."""
        training = {
            "epochs": self.current_epoch + 1,
            "steps": self.global_step,
            "hours": round(self.data.parts["train"].hours, 2),
        }
        describe(checkpoint, self.network.config, self.tokenizer, self.data.sources, training)
