"""Export of a training checkpoint to a bundle, which is compared with torch."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save

from asr.bundle.bundle import CHECKED_FILES, GRAPH, TOKENIZER, WEIGHTS, Bundle, checksum
from asr.bundle.card import write_info
from asr.bundle.info import INFO, BundleInfo, ExportInfo, Int8Loss, Precision, TrainingInfo
from asr.errors import BadBundle, BadOption, how_to_add
from asr.export.checks import checked_int8_loss, fp32_difference
from asr.model import AcousticModel
from asr.training.checkpoint import Checkpoint


def export(
    checkpoint: Path | Checkpoint,
    out: Path,
    precision: Precision | None = None,
    overwrite: bool = False,
) -> Bundle:
    """Writes the bundle `out` from a checkpoint and opens it.

    The weights are rounded to half precision first, so that torch and ONNX use the same ones. Then
    the graph is compared with torch; a bundle that differs is not written. An existing bundle at
    `out` is replaced as a whole.

    Args:
        checkpoint: a file of `asr fit`, or what was read of one.
        precision: of the ONNX graph; by default int8 for LSTMs and fp32 for GRUs and RNNs.
        overwrite: replace a bundle also where something was added to it.

    Raises:
        BadBundle: the checkpoint is missing, damaged or foreign, the graph differs, or
            `out` holds something other than a bundle, or one that something was added to.
        BadOption: int8 for a cell that ONNX Runtime cannot quantise, or `onnx` is missing.
    """
    try:
        from asr.export.onnx.graph import build_graph
        from asr.export.onnx.quantisation import quantize
    except ModuleNotFoundError as error:  # onnx, which is only needed here
        raise BadOption(f"export needs {error.name}: {how_to_add('train')}.") from error
    out = Path(out).resolve()
    if out.exists() and not (out / INFO).is_file() and not (out.is_dir() and _is_empty(out)):
        raise BadBundle(f"{out} exists and is not a bundle; move it away or name another folder.")
    if not overwrite and (additions := _additions(out)):
        raise BadBundle(
            f"{out} has {' and '.join(additions)}, which an export does not write: name another "
            "folder, or add --overwrite to lose that."
        )
    trained = _read(checkpoint)
    cell = trained.model.config.cell
    if precision == "int8" and cell != "lstm":
        raise BadOption(f"ONNX Runtime has no int8 {cell}; export it with --precision fp32.")
    if precision is None:
        precision = "int8" if cell == "lstm" else "fp32"

    graph = build_graph(trained.model)
    difference = fp32_difference(trained.model, graph)
    loss = None
    if precision == "int8":
        graph = quantize(graph)
        loss = checked_int8_loss(trained.model, graph).rounded()
    with _replacing(out) as folder:
        (folder / GRAPH).write_bytes(graph.SerializeToString())
        (folder / WEIGHTS).write_bytes(save(_half(trained.model)))
        state = json.dumps(trained.tokenizer.state(), ensure_ascii=False)
        (folder / TOKENIZER).write_text(state, encoding="utf-8")
        export = _measured(trained, folder, difference, loss)
        write_info(folder, _info(trained, out.name, precision, export, folder))
        Bundle.open(folder)
    return Bundle.open(out)


def _additions(out: Path) -> list[str]:
    """What was added to a bundle that other weights can use too; nothing if it cannot be read."""
    try:
        info = Bundle.open(out).info
    except BadBundle:
        return []
    parts = {
        "a language model": info.lm,
        "a lexicon": info.lexicon,
        "a model of marks": info.punctuation,
    }
    return [name for name, part in parts.items() if part]


def _measured(
    trained: Checkpoint, folder: Path, difference: float, loss: Int8Loss | None
) -> ExportInfo:
    return ExportInfo(
        parameters=sum(parameter.numel() for parameter in trained.model.parameters()),
        bytes=sum((folder / file).stat().st_size for file in CHECKED_FILES),
        fp32_max_difference=difference,
        int8=loss,
    )


def _info(
    trained: Checkpoint, name: str, precision: Precision, export: ExportInfo, folder: Path
) -> BundleInfo:
    """The content of `bundle.json`, after the other files are in `folder`."""
    return BundleInfo(
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        model=trained.model.config.to_dict(),
        n_units=trained.tokenizer.n_units,
        precision=precision,
        decoding={"decoder": "greedy"},
        sources=trained.sources,
        training=TrainingInfo.of(trained.training),
        export=export,
        figures=(),  # they belong to the weights and are measured anew
        checksums={file: checksum(folder / file) for file in sorted(CHECKED_FILES)},
        language=trained.language,
        normaliser=trained.normaliser,
    )


def _read(given: Path | Checkpoint) -> Checkpoint:
    if isinstance(given, Checkpoint):
        checkpoint, name = given, ""
    else:
        checkpoint, name = Checkpoint.read(Path(given)), f" {given}"
    _round_to_half(checkpoint.model, name)
    return checkpoint


def _round_to_half(model: AcousticModel, path: str) -> None:
    """Rounds every weight to fp16; the statistics of the features are not changed."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(weight.half())
            if not weight.isfinite().all():
                raise BadBundle(
                    f"checkpoint{path}: {name} holds values that are not finite in fp16; "
                    "the training has diverged, take an earlier checkpoint."
                )


def _half(model: AcousticModel) -> dict[str, torch.Tensor]:
    """The content of `model.safetensors`."""
    weights = {name: weight.detach().half() for name, weight in model.named_parameters()}
    return weights | {
        name: buffer for name, buffer in model.state_dict().items() if name not in weights
    }


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """An empty folder that replaces `out` at the end, unless there was an error."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as staging:
            new = Path(staging) / "new"
            new.mkdir()
            yield new
            if out.exists():
                out.rename(Path(staging) / "old")
            new.rename(out)
    except OSError as error:
        raise BadBundle(
            f"{out} cannot be written ({error.strerror}); free space on its disk, or name another "
            "folder."
        ) from error


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None
