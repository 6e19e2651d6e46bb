"""`asr study`: what recurrent memory is worth, measured on small models."""

from pathlib import Path
from typing import Annotated

import typer

from asr.cli.extras import needs

app = typer.Typer(help="Compare recurrent cells on the same speech.", no_args_is_help=True)


@app.callback()
def study() -> None:
    """Compare recurrent cells on the same speech."""


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def memory(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the results; a stopped study goes on.")
    ] = Path("runs/memory"),
    keys: Annotated[bool, typer.Option("--keys", help="List the keys of a config.")] = False,
) -> None:
    """Train RNN, GRU and LSTM encoders of one size on the same speech, and see what they remember.

    `asr study memory --config FILE [--KEY VALUE …] -o FOLDER` writes memory.html and its pictures.
    """
    with needs("train"):
        from asr.study import command

    if keys:
        typer.echo(command.keys())
        return
    study = command.read_study(context.args)
    page, lines = command.study_memory(study, out, lambda line: typer.echo(line, err=True))
    for line in lines:
        typer.echo(line)
    typer.echo(f"asr: {page}", err=True)
