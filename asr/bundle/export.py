"""From a training checkpoint to a bundle that has been held against torch."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save

from asr.bundle.bundle import (
    CHECKED_FILES,
    FORMAT_VERSION,
    GRAPH,
    INFO,
    TOKENIZER,
    WEIGHTS,
    Bundle,
    Precision,
    checksum,
)
from asr.bundle.card import write_info
from asr.bundle.check import fp32_difference, int8_loss
from asr.bundle.checkpoint import Checkpoint
from asr.errors import BadBundle, BadOption
from asr.model import AcousticModel


def export(checkpoint: Path, out: Path, precision: Precision | None = None) -> Bundle:
    """Writes the bundle `out` from a checkpoint and opens it.

    The weights are rounded to half precision first, so that torch and ONNX have the same; then
    the graph is compared with torch, and a bundle that differs is not written. A bundle that is
    at `out` already is replaced whole.

    Args:
        precision: of the ONNX graph; by default int8 for LSTMs and fp32 for GRUs and RNNs.

    Raises:
        BadBundle: the checkpoint is missing, damaged or not of earshot, the graph differs, or
            `out` holds something other than a bundle.
        BadOption: int8 for a cell that ONNX Runtime cannot quantise, or `onnx` is missing.
    """
    try:
        from asr.bundle.graph import build_graph
        from asr.bundle.quantize import quantize
    except ModuleNotFoundError as error:  # onnx; a bundle runs without it
        raise BadOption(f"export needs {error.name}; install earshot[train].") from error
    out = Path(out).resolve()
    if out.exists() and not (out / INFO).is_file() and not (out.is_dir() and _is_empty(out)):
        raise BadBundle(f"{out} exists and is not a bundle; move it away or name another folder.")
    trained = _read(Path(checkpoint))
    cell = trained.model.config.cell
    if precision == "int8" and cell != "lstm":
        raise BadOption(f"ONNX Runtime has no int8 {cell}; export it with --precision fp32.")
    if precision is None:
        precision = "int8" if cell == "lstm" else "fp32"

    graph = build_graph(trained.model)
    measured: dict[str, Any] = {"fp32_max_difference": fp32_difference(trained.model, graph)}
    if precision == "int8":
        graph = quantize(graph)
        measured["int8"] = int8_loss(trained.model, graph).to_dict()
    with _replacing(out) as folder:
        (folder / GRAPH).write_bytes(graph.SerializeToString())
        (folder / WEIGHTS).write_bytes(save(_half(trained.model)))
        state = json.dumps(trained.tokenizer.state(), ensure_ascii=False)
        (folder / TOKENIZER).write_text(state, encoding="utf-8")
        write_info(folder, _info(trained, out.name, precision, measured, folder))
        Bundle.open(folder)
    return Bundle.open(out)


def _info(
    trained: Checkpoint, name: str, precision: Precision, measured: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """The content of `bundle.json`, once the other files lie in `folder`."""
    parameters = sum(parameter.numel() for parameter in trained.model.parameters())
    size = sum((folder / file).stat().st_size for file in CHECKED_FILES)
    return {
        "format": FORMAT_VERSION,
        "name": name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": trained.model.config.to_dict(),
        "n_units": trained.tokenizer.n_units,
        "precision": precision,
        "decoding": {"decoder": "greedy"},
        "sources": trained.sources,
        "training": trained.training,
        "export": {"parameters": parameters, "bytes": size, **measured},
        "figures": [],  # they belong to the weights and are measured anew
        "checksums": {file: checksum(folder / file) for file in sorted(CHECKED_FILES)},
    }


def _read(path: Path) -> Checkpoint:
    checkpoint = Checkpoint.read(path)
    _round_to_half(checkpoint.model, path)
    return checkpoint


def _round_to_half(model: AcousticModel, path: Path) -> None:
    """Every weight to its nearest value in fp16; the statistics of the features stay as are."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(weight.half())
            if not weight.isfinite().all():
                raise BadBundle(
                    f"checkpoint {path}: {name} holds values that are not finite in fp16; "
                    "the training has diverged, take an earlier checkpoint."
                )


def _half(model: AcousticModel) -> dict[str, torch.Tensor]:
    """What `model.safetensors` holds."""
    weights = {name: weight.detach().half() for name, weight in model.named_parameters()}
    return weights | {
        name: buffer for name, buffer in model.state_dict().items() if name not in weights
    }


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """An empty folder beside `out` that takes its place at the end, unless there was an error."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging_folder = TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent)
    except OSError as error:
        raise BadBundle(
            f"{out} cannot be written ({error.strerror}); name another folder."
        ) from error
    with staging_folder as staging:
        new = Path(staging) / "new"
        new.mkdir()
        yield new
        if out.exists():
            out.rename(Path(staging) / "old")
        new.rename(out)


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None
