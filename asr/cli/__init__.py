"""The command `asr`: one small file per command, heavy imports inside the command.

Results go to stdout, everything else to stderr. Exit code 0: done; 1: some inputs failed;
2: nothing could be done.
"""

import sys

import click
import typer

from asr.cli import fit
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
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    global _debug
    _debug = debug


fit.register(app)


def main() -> None:
    """Run the command line; an `AsrError` becomes one sentence and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except AsrError as error:
        if _debug:
            raise
        sys.stderr.write(f"asr: {error}\n")
        code = 2
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("asr: stopped\n")
        code = 130
    except BrokenPipeError:  # `asr transcribe … | head` has seen enough
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
