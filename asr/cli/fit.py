"""`asr fit | validate | test`: Lightning's command line."""

from pathlib import Path

import typer

from asr.cli.extras import needs

_HELP = {
    "fit": "Train: `asr fit --config FILE [--KEY VALUE …]`, or go on with `asr fit --resume RUN`.",
    "validate": "Measure a checkpoint on the development manifest.",
    "test": "Measure a checkpoint on the test manifest.",
}


def register(app: typer.Typer) -> None:
    """Add the three commands; Lightning parses what follows the name, `--help` too."""
    for name, text in _HELP.items():
        app.command(
            name,
            help=text,
            add_help_option=False,
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        )(_command)


def _command(context: typer.Context) -> None:
    with needs("train"):
        from asr.training import fit
    arguments = list(context.args)
    if context.info_name == "fit" and arguments[:1] == ["--resume"]:
        if len(arguments) < 2:
            raise typer.BadParameter("--resume takes the folder of a run")
        arguments = [*fit.resume_arguments(Path(arguments[1])), *arguments[2:]]
    fit.run(str(context.info_name), arguments)
