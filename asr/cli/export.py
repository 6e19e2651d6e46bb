"""`asr export CHECKPOINT OUT`: one folder with everything that a model needs to run."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.extras import needs


class Precision(StrEnum):
    """Precisions of the ONNX graph."""

    int8 = "int8"
    fp32 = "fp32"


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of `asr fit`.")],
    out: Annotated[Path, typer.Argument(help="Folder to write; a bundle there is replaced.")],
    precision: Annotated[
        Precision | None,
        typer.Option(help="Of the ONNX graph; else int8 for LSTMs and fp32 for other cells."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(help="Replace a bundle also where a language model or more was added to it."),
    ] = False,
) -> None:
    """Write a bundle, after comparing its graph with the weights on batches of mixed lengths."""
    with needs("train"):
        from asr.export import export as write
        from asr.export.checks import int8_here

    bundle = write(checkpoint, out, precision.value if precision else None, overwrite)
    size = bundle.info.export.bytes / 1e6
    typer.echo(f"{bundle.path}: {bundle.precision}, {size:.1f} MB, equal to torch within bounds")
    if bundle.precision == "int8":
        typer.echo(f"int8: {int8_here(bundle)[1]}")
