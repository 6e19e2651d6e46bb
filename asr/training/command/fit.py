"""`asr fit | validate | test`: runs a subcommand, and finds the arguments to resume a run."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.exceptions import SIGTERMException

from asr.errors import AsrError, BadOption
from asr.training.callbacks.checkpoints import newest, no_space
from asr.training.command.cli import (
    CHECKPOINTS,
    CONFIG,
    PunctuationCLI,
    RunCLI,
    SaveConfig,
    TrainingCLI,
    parse,
)
from asr.training.rehearsal import is_out_of_memory


def resume_arguments(run: Path) -> list[str]:
    """The arguments that resume a run from its folder, even if it was moved."""
    config = run / CONFIG
    if not config.exists():
        raise BadOption(f"{run} cannot be resumed: {config} is not there; name a run's folder.")
    checkpoint = newest(run / CHECKPOINTS)
    if checkpoint is None:
        raise BadOption(
            f"{run} cannot be resumed, as it has saved no checkpoint: start it again with "
            f"`asr fit --config {config}`."
        )
    folder = ["--trainer.default_root_dir", str(run)]
    return ["--config", str(config), *folder, "--ckpt_path", str(checkpoint)]


def run(subcommand: str, arguments: Sequence[str]) -> None:
    """Parses the arguments and runs the subcommand, as `LightningCLI` does."""
    try:
        parse(
            [subcommand, *arguments],
            _command_line(arguments),
            only=subcommand,
            save_config_callback=SaveConfig if subcommand == "fit" else None,
            save_config_kwargs={"save_to_log_dir": False},
        )
    except SIGTERMException:  # Lightning would exit as if the run had finished
        sys.exit(128 + signal.SIGTERM)
    except SystemExit as end:  # and after Ctrl-C as if a part had failed
        if isinstance(end.__context__, KeyboardInterrupt):
            sys.exit(128 + signal.SIGINT)
        raise
    except MisconfigurationException as error:
        raise BadOption(" ".join(str(error).split())) from error
    except (OSError, RuntimeError, MemoryError) as error:
        if (reason := no_space(error)) is not None:
            raise AsrError(
                f"no more can be written ({reason}): free space on the disk of the run and of "
                "data.cache, and go on with `asr fit --resume RUN`, or start again where it has "
                "no checkpoint yet."
            ) from error
        if not is_out_of_memory(error):
            raise
        raise BadOption(
            "memory ran out in the middle of the run: lower data.batch_seconds, and go on with "
            "`asr fit --resume RUN`."
        ) from error


def _command_line(arguments: Sequence[str]) -> type[RunCLI]:
    """The command line of the task that the arguments, or their configs, name."""
    task = "speech"
    for name, value in _pairs(arguments):
        if name == "--config":
            with suppress(
                OSError, UnicodeDecodeError, yaml.YAMLError
            ):  # the parser says what fails
                config = yaml.safe_load(Path(value).read_text(encoding="utf-8"))
                task = config.get("task", task) if isinstance(config, dict) else task
        elif name == "--task":
            task = value
    return PunctuationCLI if task == "punctuation" else TrainingCLI


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, given, value = argument.partition("=")
        yield (name, value) if given else (argument, following)
