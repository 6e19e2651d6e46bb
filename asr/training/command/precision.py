"""`trainer.precision: auto`: bfloat16 where the hardware computes in it, float32 elsewhere."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from lightning import Trainer
from lightning.pytorch.accelerators import Accelerator, CUDAAccelerator, MPSAccelerator
from lightning.pytorch.utilities import rank_zero_info

from asr.training.lightning_internals import PrecisionInput

Automatic = Literal["bf16-mixed", "32-true"]


class SpeechTrainer(Trainer):
    """Lightning's trainer, which also takes `auto` as its precision.

    A config with `auto` works on any machine. Without the key the precision is Lightning's default,
    `32-true`.
    """

    def __init__(
        self,
        *args: Any,
        accelerator: str | Accelerator = "auto",
        precision: Literal["auto"] | PrecisionInput | None = None,
        **kwargs: Any,
    ) -> None:
        if precision == "auto":
            precision, reason = automatic(_device(accelerator))
            rank_zero_info(f"trainer.precision auto is {precision} here: {reason}")
        super().__init__(*args, accelerator=accelerator, precision=precision, **kwargs)


def automatic(device: str) -> tuple[Automatic, str]:
    """The precision that is fastest on a `cuda`, `cpu` or other device, and why."""
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", "the GPU computes in bfloat16"
        return "32-true", "the GPU does not compute in bfloat16"
    if device == "cpu":
        return of_processor(capabilities())
    return "32-true", f"bfloat16 has not been measured on {device}"


def of_processor(capable: Mapping[str, Any]) -> tuple[Automatic, str]:
    """The precision that is fastest on a processor of such `capabilities`, and why.

    Without these instructions bfloat16 is emulated, at a quarter of the speed of float32.
    """
    has = {"AVX512-BF16": capable.get("avx512_bf16"), "AMX": capable.get("amx_bf16")}
    if any(has.values()):
        return "bf16-mixed", f"the processor has {' and '.join(name for name in has if has[name])}"
    return "32-true", f"the processor has neither {' nor '.join(has)}"


def capabilities() -> Mapping[str, Any]:
    """The processor's capabilities as torch reports them; empty if torch is too old."""
    ask = getattr(torch.cpu, "get_capabilities", dict)
    known: Mapping[str, Any] = ask()
    return known


def _device(accelerator: str | Accelerator) -> str:
    """The kind of device that Lightning chooses for `trainer.accelerator`."""
    if isinstance(accelerator, Accelerator):
        return accelerator.name()
    if accelerator in ("auto", "gpu"):
        if MPSAccelerator.is_available():
            return "mps"
        return "cuda" if accelerator == "gpu" or CUDAAccelerator.is_available() else "cpu"
    return accelerator
