"""The engine of a device, of those that are there."""

import ctypes
import os
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path

from asr.bundle import Bundle
from asr.errors import BadOption
from asr.runtime.engine import Engine

DEVICES = ("auto", "cpu", "cuda")
_MOST_THREADS = 1024


def open_engine(bundle: Bundle, device: str, threads: int | None) -> Engine:
    """The engine for a device; only that engine's libraries are loaded.

    Raises:
        BadOption: the device is unknown or not there, or the number of threads cannot be.
    """
    if device not in DEVICES:
        raise BadOption(f"device {device!r} is not known; choose from {', '.join(DEVICES)}.")
    on_gpu = device != "cpu" and _finds_gpu()
    if device == "cuda" and not on_gpu:
        raise BadOption(
            "device 'cuda' is not there: no GPU is found, or the extra `gpu` is not installed "
            "(`asr doctor` says which); choose 'cpu' or 'auto'."
        )
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, Integral)):
        raise BadOption(f"threads {threads!r} is not a whole number; correct it.")
    if threads is not None and not 1 <= threads <= _MOST_THREADS:
        raise BadOption(f"threads {threads} is out of range; choose 1 to {_MOST_THREADS}.")
    if not on_gpu:
        from asr.runtime.onnx_engine import OnnxEngine

        return OnnxEngine(bundle, threads)
    if threads is not None:
        raise BadOption("threads has no effect on a GPU; leave it out, or choose the device cpu.")
    from asr.runtime.torch_engine import TorchEngine

    return TorchEngine(bundle, "cuda")


def _finds_gpu() -> bool:
    """Whether torch is installed and finds a GPU; it is loaded only where there is a driver."""
    if not _has_driver() or find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _has_driver() -> bool:
    if Path("/dev/kfd").exists():  # of AMD's GPUs
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True
