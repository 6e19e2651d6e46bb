"""What is set before each step from the config and the step alone, so that a resumed run goes on
as an uninterrupted one."""

import lightning as L
import torch

from asr.training.lightning_internals import batches_seen, update_group
from asr.training.optimizer import OptimizerConfig


def begin_step(module: L.LightningModule, optimizer: OptimizerConfig, seed: int) -> None:
    """Seeds the generators, and sets rate, momentum and decay of the step; logs the rate.

    Each step seeds the generators of dropout and augmentation: a resumed run draws the same numbers
    as an uninterrupted one, and checkpoints need no generator's state. The optimizer's settings
    override those in a checkpoint.
    """
    trainer = module.trainer
    seen = batches_seen(trainer)
    torch.manual_seed((seed * 1_000_003 + seen) * 1_009 + module.global_rank)
    steps = int(trainer.estimated_stepping_batches)
    rate = optimizer.rate(trainer.global_step, steps)
    momentum = optimizer.momentum(trainer.global_step, steps)
    groups = trainer.optimizers[0].param_groups
    for group, decay in zip(groups, optimizer.decays, strict=True):
        on_cpu = module.device.type == "cpu"  # where the fused step is three times as fast
        update_group(group, rate, momentum, decay, fused=on_cpu)
    module.log("train/learning_rate", rate, batch_size=1)
