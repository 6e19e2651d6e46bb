"""One encoder of a study: built to a number of parameters, trained, and measured on the way.

Shapes: B batch, T feature frames, F mels, U output frames, V units.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from asr.model import AcousticModel, FeatureConfig, ModelConfig
from asr.model.lengths import valid_frames
from asr.study.config import Network, Training, Variant
from asr.study.speech import TOKENIZER, Batch, Clips
from asr.text import BLANK
from asr.training.objective import reachable_ctc
from asr.training.validation import Tally, UtteranceResult, best_paths, written

_CLIP = 1.0  # of the gradient's norm, as in the configs of `asr fit`
Built = TypeVar("Built", bound=nn.Module)


def fitted(parameters: int, build: Callable[[int], Built]) -> Built:
    """The network whose size is nearest, of those that `build` makes of hidden units.

    Only the one that is returned draws random numbers.
    """
    with torch.device("meta"):
        low, high = 1, 2
        while size(build(high)) < parameters:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if size(build(middle)) < parameters else (low, middle)
        near = min((low, high), key=lambda hidden: abs(size(build(hidden)) - parameters))
    return build(near)


def size(network: nn.Module) -> int:
    """Weights of a network."""
    return sum(weight.numel() for weight in network.parameters())


def encoder(variant: Variant, network: Network, seed: int) -> AcousticModel:
    """An untrained encoder with its output layer."""

    def build(hidden: int) -> AcousticModel:
        config = ModelConfig(
            FeatureConfig(mels=network.mels),
            channels=network.channels,
            cell=variant.cell,
            layers=network.layers,
            hidden=hidden,
            directions=variant.directions,
            forget_bias=variant.forget_bias,
            dropout=0.0,
        )
        return AcousticModel(config, TOKENIZER.n_units)

    torch.manual_seed(seed)
    return fitted(network.parameters, build)


@dataclass(frozen=True)
class Point:
    """What was measured after so many steps."""

    step: int
    loss: float
    """Nats a unit on the development clips."""
    wer: float
    cer: float


def train(
    model: AcousticModel, clips: Clips, dev: Clips, training: Training, seed: int
) -> Iterator[Point]:
    """Trains the model; yields what the development clips say, first before any step."""
    optimizer = training.optimizer.adamw(model.parameters())
    most = round(100 * training.batch_seconds)
    epochs = (clips.batches(most, seed=1000 * seed + epoch) for epoch in range(training.steps))
    batches = (batch for epoch in epochs for batch in epoch)
    every = max(1, training.steps // training.measurements)
    yield measured(model, dev, most, 0)
    for step in range(1, training.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = training.optimizer.rate(step - 1, training.steps)
        batch = next(batches)
        losses, _ = ctc_of(model, batch)
        optimizer.zero_grad()
        torch.autograd.backward(losses.sum() / batch.unit_lengths.sum())
        nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        if step % every == 0 or step == training.steps:
            yield measured(model, dev, most, step)


def ctc_of(model: AcousticModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """`(B,)` nats of each clip, and `(B, U, V)` log-probabilities."""
    log_probs, lengths = model.encode(batch.features, batch.lengths)
    losses, _ = reachable_ctc(log_probs, lengths, batch.units, batch.unit_lengths)
    return losses, log_probs


@torch.no_grad()
def measured(model: AcousticModel, clips: Clips, most: int, step: int) -> Point:
    """Loss and error rates of the greedy decoder on all clips."""
    tally = Tally()
    for batch in clips.batches(most, seed=0, shuffle=False):
        log_probs, lengths = model.encode(batch.features, batch.lengths)
        losses, reachable = reachable_ctc(log_probs, lengths, batch.units, batch.unit_lengths)
        best = log_probs.argmax(-1)
        blanks = ((best == BLANK) & valid_frames(lengths, best.shape[1])).sum(1)
        columns = (losses, reachable, batch.unit_lengths, lengths, blanks)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        hypotheses = best_paths(log_probs, lengths)
        for utterance, hypothesis, row in zip(batch.utterances, hypotheses, rows, strict=True):
            tally.results.append(UtteranceResult(utterance, written(hypothesis, TOKENIZER), *row))
    return Point(step, tally.loss(per_token=True), tally.wer, tally.cer)
