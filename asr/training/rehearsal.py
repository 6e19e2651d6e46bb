"""The most expensive batch of a run, tried before the first step."""

from collections.abc import Callable, Sequence

import lightning as L
import torch
from torch import Tensor

from asr.audio import SAMPLE_RATE
from asr.corpus.dataset import Batch
from asr.counting import counted
from asr.errors import BadOption

_CPU_ALLOCATOR = "DefaultCPUAllocator"  # torch names it when the host runs out of memory


def rehearse(
    module: L.LightningModule, batch: Batch, loss: Callable[[Batch], Tensor], batch_seconds: float
) -> None:
    """Computes the gradient of `batch` without changing weights or random numbers.

    Raises:
        BadOption: there is not enough memory for it.
    """
    devices: Sequence[torch.device] = [module.device] if module.device.type == "cuda" else []
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    try:
        with (
            torch.random.fork_rng(devices),
            torch.enable_grad(),
            module.trainer.precision_plugin.forward_context(),
        ):
            # Not `backward`, which would leave gradients and synchronise processes.
            torch.autograd.grad(loss(batch.to(module.device)), weights, allow_unused=True)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        clips, samples = batch.wave.shape
        raise BadOption(
            f"the largest batch, {counted(clips, 'clip')} of up to {samples / SAMPLE_RATE:.1f} s, "
            f"does not fit into the memory of {module.device}: lower data.batch_seconds (now "
            f"{batch_seconds:g}), take a smaller model.network, or on a GPU set "
            "trainer.precision to auto."
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device or the host ran out of memory."""
    exhausted = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return exhausted or _CPU_ALLOCATOR in str(error)
