"""The command `asr`: one small file per command, heavy imports inside the command.

Results go to stdout, everything else to stderr. Exit code 0: done; 1: some inputs failed;
2: nothing could be done.
"""

import sys
from typing import Annotated

import typer

from asr.cli import check, demo, evaluate, export, fit, serve, transcribe
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


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    global _debug
    _debug = debug


app.command()(demo.demo)
app.command()(transcribe.transcribe)
app.command()(serve.serve)
app.command()(check.check)
fit.register(app)
app.command()(export.export)
app.command()(evaluate.evaluate)


def main() -> None:
    """Run the command line; an `AsrError` becomes one sentence and exit code 2."""
    try:
        app()
    except AsrError as error:
        if _debug:
            raise
        sys.stderr.write(f"asr: {error}\n")
        sys.exit(2)
