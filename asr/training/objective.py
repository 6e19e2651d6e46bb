"""What training minimises, utterance by utterance.

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

    Twice the work and memory of a step. The masks are those of `augment.masks`; the paper covers
    2.5 times as much time with them as in training with one view.
    """

    weight: float = 0.2
    """Nats of disagreement, summed over frames, are weighed with this against those of CTC."""
    warmup_steps: int = 1000
    """Steps in which the weight rises from 0: at first the views have nothing to agree on."""

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
    """Nats of each utterance of a batch, `(B,)` float32; 0 where CTC cannot reach the text."""

    ctc: Tensor
    reachable: Tensor
    """`(B,)` bool: the text can be spelled in the frames there are."""
    middle: Tensor | None = None
    """CTC on the middle layer."""
    views: Tensor | None = None
    """Disagreement of two views."""


def frames_needed(units: Tensor, unit_lengths: Tensor) -> Tensor:
    """`(B,)` int64: frames in which CTC can spell each text, as `asr.corpus.frames_needed`."""
    repeats = (units[:, 1:] == units[:, :-1]) & (units[:, 1:] != BLANK)
    return unit_lengths + repeats.sum(1)


def ctc(log_probs: Tensor, lengths: Tensor, units: Tensor, unit_lengths: Tensor) -> Tensor:
    """CTC loss in nats (Graves et al., 2006), `(B,)` float32; the mean over views.

    Native kernels are chosen by padded int64 targets; cuDNN's CTC has given wrong gradients
    (pytorch#21680). Infinite where a text cannot be reached, which callers leave out beforehand.

    Args:
        log_probs: `(K B, U, V)`, the views of a batch one behind the other.
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
    """CTC loss as `ctc`, 0 and without gradient where `(B,)` bool, the second, is false."""
    reachable = lengths[: len(units)] >= frames_needed(units, unit_lengths)
    # An empty text can always be spelled: no infinity arises that a mask would turn into NaN.
    spelled = unit_lengths.masked_fill(~reachable, 0)
    return ctc(log_probs, lengths, units, spelled).masked_fill(~reachable, 0.0), reachable


def disagreement(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Of two views, `(2 B, U, V)`: how far each is from the other held still, `(B,)` nats.

    The mean of both Kullback-Leibler divergences, summed over frames (Yao et al., 2024, eq. 4).
    """
    one, other = log_probs.chunk(2)
    apart = F.kl_div(one, other.detach(), reduction="none", log_target=True)
    apart = apart + F.kl_div(other, one.detach(), reduction="none", log_target=True)
    per_frame = mask_padding(apart.sum(-1, keepdim=True), lengths[: len(one)])  # (B, U, 1)
    return torch.sum(per_frame, dim=(1, 2)) / 2.0
