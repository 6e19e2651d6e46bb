"""The losses of training, one value per utterance.

Shapes: B batch, K views of it, N units of the longest text, U output frames, V units.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from asr.errors import BadOption
from asr.model.lengths import mask_padding
from asr.text import BLANK


@dataclass(frozen=True)
class Consistency:
    """Two masked views of each clip that must agree: "CR-CTC" (Yao et al., 2024, eq. 4 and 5).

    It takes twice the work and memory per step. The masks are those of `augment.masks`; in the
    paper they cover 2.5 times as much time as in training with one view.
    """

    weight: float = 0.2
    """Weight of the disagreement, in nats summed over frames, relative to the CTC loss."""
    warmup_steps: int = 1000
    """Steps in which the weight rises from 0, since at first there is nothing to agree on."""

    def __post_init__(self) -> None:
        if self.weight <= 0 or self.warmup_steps < 0:
            raise BadOption(
                f"consistency cannot have weight {self.weight} and warmup_steps "
                f"{self.warmup_steps}: give a positive weight and no negative steps, or leave "
                "model.consistency out."
            )

    def weight_at(self, step: int) -> float:
        """The weight at a step."""
        return self.weight * min(1.0, step / max(1, self.warmup_steps))


@dataclass(frozen=True)
class Losses:
    """Loss of each utterance of a batch in nats, `(B,)` float32; 0 if CTC cannot reach the text."""

    ctc: Tensor
    """Of the head of letters or subwords."""
    reachable: Tensor
    """`(B,)` bool: the text can be spelled in the available frames."""
    phones: Tensor | None = None
    """Of the head of phones."""
    middle: Tensor | None = None
    """CTC on the middle layer."""
    disagreement: Tensor | None = None
    """Disagreement of two views."""


def frames_needed(units: Tensor, unit_lengths: Tensor) -> Tensor:
    """`(B,)` int64: frames in which CTC can spell each text, as `asr.text.frames_needed`."""
    repeats = (units[:, 1:] == units[:, :-1]) & (units[:, 1:] != BLANK)
    return unit_lengths + repeats.sum(1)


def ctc(log_probs: Tensor, lengths: Tensor, units: Tensor, unit_lengths: Tensor) -> Tensor:
    """CTC loss in nats (Graves et al., 2006), `(B,)` float32; the mean over views.

    Padded int64 targets select the native kernels, since cuDNN's CTC has given wrong gradients
    (pytorch#21680). The loss is infinite if a text cannot be reached; callers exclude such texts.

    Args:
        log_probs: `(K B, U, V)`, the views of a batch, one after the other.
        lengths: `(K B,)` int64, in frames.
        units: `(B, N)` int64.
        unit_lengths: `(B,)` int64.
    """
    views = len(log_probs) // len(units)
    per_frame = log_probs.float().transpose(0, 1)  # (K B, U, V) -> (U, K B, V)
    losses: Tensor = F.ctc_loss(
        per_frame,
        units.repeat(views, 1),
        lengths,
        unit_lengths.repeat(views),
        blank=BLANK,
        reduction="none",
    )
    return losses.view(views, -1).mean(0)


def reachable_ctc(
    log_probs: Tensor, lengths: Tensor, units: Tensor, unit_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of `ctc`, and `(B,)` bool: whether a text can be reached; if not, its loss is 0."""
    reachable = lengths[: len(units)] >= frames_needed(units, unit_lengths)
    # An empty text can always be spelled, so no infinity arises that masking would turn into NaN.
    spelled = unit_lengths.masked_fill(~reachable, 0)
    return ctc(log_probs, lengths, units, spelled).masked_fill(~reachable, 0.0), reachable


def disagreement(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """The divergence between two views, given as `(2 B, U, V)`: `(B,)` nats.

    The mean of both Kullback-Leibler divergences, summed over frames; each view's target is the
    other one without gradient (Yao et al., 2024, eq. 4).
    """
    first, other = log_probs.chunk(2)
    apart = F.kl_div(first, other.detach(), reduction="none", log_target=True)
    apart = apart + F.kl_div(other, first.detach(), reduction="none", log_target=True)
    per_frame = mask_padding(apart.sum(-1, keepdim=True), lengths[: len(first)])  # (B, U, 1)
    return torch.sum(per_frame, dim=(1, 2)) / 2.0
