"""`asr report RUN`: a training run as one page."""

from pathlib import Path
from typing import Annotated

import typer

from asr.cli.extras import needs


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run of `asr fit`.")],
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write; else report.html in the run's folder.")
    ] = None,
    worst: Annotated[int, typer.Option(help="Utterances to show, the worst first.", min=0)] = 12,
) -> None:
    """Write a page with a run's curves, data, versions and worst utterances."""
    with needs("train"):
        from asr.training.run_report import write_report

    page = out or run / "report.html"
    write_report(run, page, worst)
    typer.echo(str(page))
