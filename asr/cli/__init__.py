"""The command `asr`: one small file per command, heavy imports inside the command.

Results go to stdout, everything else to stderr. Exit code 0: done; 1: some inputs failed;
2: nothing could be done.
"""

import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from asr.cli import (
    calibrate,
    check,
    data,
    demo,
    doctor,
    evaluate,
    export,
    fit,
    gates,
    key,
    lm,
    report,
    serve,
    transcribe,
)
from asr.errors import AsrError

app = typer.Typer(
    name="asr",
    help="Train, ship and run your own speech recogniser.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_debug = False


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"earshot {installed_version('earshot')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    global _debug
    _debug = debug


app.command()(demo.demo)
app.command()(transcribe.transcribe)
app.command()(serve.serve)
app.command()(check.check)
fit.register(app)
app.command()(export.export)
app.command()(calibrate.calibrate)
app.command()(evaluate.evaluate)
app.command()(report.report)
app.command()(doctor.doctor)
app.command()(gates.gates)
app.command()(key.key)
app.add_typer(data.app, name="data")
app.add_typer(lm.app, name="lm")


def main() -> None:
    """Run the command line; an `AsrError` becomes one sentence and exit code 2.

    So does a file that cannot be opened.
    """
    try:
        app()
    except AsrError as error:
        if _debug:
            raise
        sys.stderr.write(f"asr: {error}\n")
        sys.exit(2)
    except OSError as error:
        if _debug or error.filename is None:
            raise
        sys.stderr.write(f"asr: {error.filename}: {error.strerror}; check the path.\n")
        sys.exit(2)
