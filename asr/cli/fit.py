"""`asr fit | validate | test`: Lightning's command line."""

import shlex
from pathlib import Path

import typer

from asr.cli.extras import needs
from asr.cli.output import stoppable
from asr.errors import BadOption

_HELP = {
    "fit": "Train: `asr fit --config FILE [--KEY VALUE …]`, or go on with `asr fit --resume RUN`.",
    "validate": "Measure a checkpoint on the development manifest.",
    "test": "Measure a checkpoint on the test manifest.",
}


def register(app: typer.Typer) -> None:
    """Adds the three commands; Lightning parses the arguments, including `--help`."""
    for name, text in _HELP.items():
        app.command(
            name,
            help=text,
            add_help_option=False,
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        )(_command)


def _command(context: typer.Context) -> None:
    name, arguments = str(context.info_name), list(context.args)
    with stoppable(lambda: _left(name, arguments)):
        _run(name, arguments)


def _left(name: str, arguments: list[str]) -> str:
    """What a command that was stopped leaves; without torch, which may be half imported."""
    from asr.training.command.arguments import UNNAMED, given

    if name != "fit":
        return "stopped: nothing was measured to the end."
    run, others = _taken(arguments, "--resume")
    folder = Path(run or given(others, "trainer.default_root_dir", UNNAMED))
    if any((folder / "checkpoints").glob("*.ckpt")):
        return f"stopped: `asr fit --resume {shlex.quote(str(folder))}` goes on."
    return "stopped before a checkpoint was saved: the same command starts anew."


def _run(name: str, arguments: list[str]) -> None:
    if not arguments:
        raise BadOption(
            f"asr {name} needs a config: name one with --config FILE; `asr {name} --help` lists "
            "its keys."
        )
    with needs("train"):
        from asr.training.command import fit
    if name == "fit":
        run, arguments = _taken(arguments, "--resume")
        if run is not None:
            # In front, so that other arguments override the run's config.
            arguments = [*fit.resume_arguments(Path(run)), *arguments]
        if {"--help", "--help-all"} & set(arguments):
            typer.echo(f"{_HELP[name]}\n")
    trainer = fit.run(name, arguments)
    for sentence in fit.what_next(trainer) if name == "fit" else ():
        typer.echo(f"asr: {sentence}", err=True)


def _taken(arguments: list[str], option: str) -> tuple[str | None, list[str]]:
    """The value of `option`, if it is among the arguments, and the other arguments."""
    for index, argument in enumerate(arguments):
        if argument == option:
            if index + 1 == len(arguments):
                raise typer.BadParameter(f"{option} takes the folder of a run")
            return arguments[index + 1], arguments[:index] + arguments[index + 2 :]
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2], arguments[:index] + arguments[index + 1 :]
    return None, arguments
