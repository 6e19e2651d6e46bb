"""All commands in one, and what an error in any of them becomes."""

import errno
import signal
import sys
from importlib.metadata import version as installed_version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from asr.cli import (
    adapt,
    align,
    calibrate,
    check,
    data,
    demo,
    doctor,
    evaluate,
    export,
    fit,
    inspect,
    key,
    lexicon,
    lm,
    punctuation,
    report,
    self_train,
    serve,
    study,
    transcribe,
)
from asr.cli.damaged import damaged_code
from asr.cli.output import Stdout, one_line
from asr.errors import AsrError, ended


class _Commands(TyperGroup):
    """The commands, of which none asks anything: an EOFError is no answer that somebody denied."""

    def invoke(self, context: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(context)
        except Exception as error:
            if _interrupted(error):
                raise KeyboardInterrupt from error
            if (damaged := damaged_code(error)) is not None:
                raise damaged from error
            if isinstance(error, EOFError):  # which typer takes for such an answer
                raise RuntimeError("something ended too early") from error
            raise


app = typer.Typer(
    name="asr",
    cls=_Commands,
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
app.command()(align.align)
app.command()(serve.serve)
app.command()(check.check)
fit.register(app)
app.command()(adapt.adapt)
app.command()(export.export)
app.command()(calibrate.calibrate)
app.command()(evaluate.evaluate)
app.command()(report.report)
app.command()(doctor.doctor)
app.command()(inspect.inspect)
app.command()(key.key)
app.add_typer(study.app, name="study")
data.app.command("self-train")(self_train.self_train)
app.add_typer(data.app, name="data")
app.add_typer(lm.app, name="lm")
app.add_typer(lexicon.app, name="lexicon")
app.add_typer(punctuation.app, name="punctuation")


def run() -> None:
    """Runs the command line; an `AsrError` becomes one sentence and exit code 2.

    The same holds for a file that cannot be opened, a full disk, and a stdout that cannot be
    written.
    """
    stdout = Stdout()
    code: int | str | None = 0
    try:
        app()
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:  # before or after what typer catches
        code = 128 + signal.SIGINT
    except AsrError as error:
        if _debug:
            raise
        code = _refuse(error.sentence, *error.details)
    except OSError as error:
        if _debug or (error.strerror is None and stdout.failure is None):
            raise
        if stdout.failure is None:
            code = _refuse(_of_a_file(error))
    failure = stdout.end()
    if failure and failure.errno != errno.EPIPE:  # the reader has closed the pipe on purpose
        code = _refuse(
            f"the results cannot be written to standard output ({failure.strerror}); check where "
            "they go."
        )
    sys.exit(code)


def _interrupted(error: BaseException) -> bool:
    """Whether the error came of Ctrl-C, of which compiled modules that load make an ImportError."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__context__
    return cause is not None


def _refuse(sentence: str, *details: str) -> int:
    lines = map(one_line, (f"asr: {ended(sentence)}", *details))
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return 2


def _of_a_file(error: OSError) -> str:
    if error.filename is None:
        return f"a file cannot be read or written ({error.strerror}); check the disk."
    return f"{error.filename}: {error.strerror}; check the path."
