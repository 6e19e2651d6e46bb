"""The optimizer and its schedule: pure functions of step and config."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from asr.errors import BadOption

_START = 0.1  # of the peak: the rate of the first step
_MOMENTUM, _LOW, _HIGH = 0.9, 0.85, 0.95


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW (Loshchilov & Hutter, 2019) and its learning rate schedule."""

    learning_rate: float = 1e-3
    """The peak of the learning rate."""
    warmup: float = 0.1
    """Share of all steps in which the rate rises from a tenth to its peak."""
    final: float = 0.01
    """The rate of the last step, as a share of the peak."""
    weight_decay: float = 0.01
    """AdamW's decoupled decay of matrices and filters; biases and the scales of norms have none."""
    schedule: Literal["cosine", "one-cycle"] = "cosine"
    """How the rate falls from its peak: along half a cosine, or linearly. In the linear case
    momentum falls from 0.95 to 0.85 while the rate rises, and returns (Smith & Topin,
    "Super-convergence", 2018)."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or not 0 <= self.warmup < 1 or self.weight_decay < 0:
            raise BadOption(
                f"the optimizer cannot have learning_rate {self.learning_rate}, warmup "
                f"{self.warmup} and weight_decay {self.weight_decay}: give a positive rate, a "
                "share of steps below 1, and no negative decay."
            )
        if not 0 <= self.final <= 1:
            raise BadOption(f"optimizer.final {self.final} is no share of the peak: give 0 to 1.")

    @property
    def decays(self) -> tuple[float, float]:
        """The decay of each of the optimizer's two groups."""
        return self.weight_decay, 0.0

    def adamw(self, weights: Iterable[nn.Parameter]) -> torch.optim.AdamW:
        """The optimizer of these weights, in two groups: matrices and filters, then vectors."""
        groups: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
        for weight in weights:
            groups[weight.ndim < 2].append(weight)
        return torch.optim.AdamW(
            [
                {"params": group, "weight_decay": decay}
                for group, decay in zip(groups, self.decays, strict=True)
            ],
            lr=self.learning_rate,
        )

    def refuse_other_groups(self, checkpoint: dict[str, Any]) -> None:
        """BadOption if a checkpoint's optimizer groups its weights in another way."""
        if any(
            len(state["param_groups"]) != len(self.decays)
            for state in checkpoint["optimizer_states"]
        ):
            raise BadOption(
                "the checkpoint is from an earlier version, whose optimizer grouped the weights in "
                "another way: start a new run from it with model.init_from."
            )

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at `step` of `steps`; it depends on nothing else."""
        rising, part = self._phase(step, steps)
        if rising:
            return self.learning_rate * (_START + (1.0 - _START) * part)
        left = 0.5 * (1.0 + math.cos(math.pi * part)) if self.schedule == "cosine" else 1.0 - part
        return self.learning_rate * (self.final + (1.0 - self.final) * left)

    def momentum(self, step: int, steps: int) -> float:
        """AdamW's first beta at `step` of `steps`."""
        if self.schedule == "cosine":
            return _MOMENTUM
        rising, part = self._phase(step, steps)
        return _HIGH - (_HIGH - _LOW) * (part if rising else 1.0 - part)

    def _phase(self, step: int, steps: int) -> tuple[bool, float]:
        """Whether the rate still rises, and the completed share of its rise or fall."""
        progress = min(1.0, step / max(1, steps))
        if progress < self.warmup:
            return True, progress / self.warmup
        return False, (progress - self.warmup) / max(1e-9, 1.0 - self.warmup)
