"""`asr fit | validate | test`: runs a subcommand, and finds the arguments to resume a run."""

import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.exceptions import SIGTERMException

from asr.errors import AsrError, BadOption
from asr.training.callbacks.checkpoints import BEST, LAST, BestCheckpoint, newest, no_space
from asr.training.command.arguments import given
from asr.training.command.cli import (
    CHECKPOINTS,
    CONFIG,
    PunctuationCLI,
    RunCLI,
    TrainingCLI,
    parse,
)
from asr.training.punctuation.module import PunctuationTraining
from asr.training.rehearsal import is_out_of_memory
from asr.training.run_record import RunRecord

_WORTHLESS = 0.9
"""Error rate above which a model writes nothing, or nothing that was said."""


def resume_arguments(run: Path) -> list[str]:
    """The arguments that resume a run from its folder, even if it was moved."""
    config = run / CONFIG
    if not config.exists():
        raise BadOption(f"{run} cannot be resumed: {config} is not there; name a run's folder.")
    checkpoint = newest(run / CHECKPOINTS)
    if checkpoint is None:
        raise BadOption(
            f"{run} cannot be resumed, as it has saved no checkpoint: start it again with "
            f"`asr fit --config {shlex.quote(str(config))}`."
        )
    folder = ["--trainer.default_root_dir", str(run)]
    return ["--config", str(config), *folder, "--ckpt_path", str(checkpoint)]


def run(subcommand: str, arguments: Sequence[str]) -> Trainer:
    """Parses the arguments and runs the subcommand, as `LightningCLI` does."""
    try:
        made = parse(
            [subcommand, *arguments],
            _command_line(arguments),
            only=subcommand,
            save_config_callback=None,  # `RunRecord` saves it
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
    trainer: Trainer = made.trainer
    return trainer


def what_next(trainer: Trainer) -> Iterator[str]:
    """Sentences on what can be done with a run of `asr fit` that has ended."""
    record = next((one for one in trainer.callbacks if isinstance(one, RunRecord)), None)  # type: ignore[attr-defined]
    run = Path(trainer.default_root_dir)
    names = [name for name in (BEST, LAST) if (run / CHECKPOINTS / name).is_file()]
    if record is None or not names or not trainer.is_global_zero:
        return
    if not record.has_begun:
        limit = "max_steps" if 0 < trainer.max_steps <= trainer.global_step else "max_epochs"
        reached = f"trainer.{limit} {getattr(trainer, limit)}"
        resume = f"asr fit --resume {shlex.quote(str(run))} --trainer.{limit} MORE"
        yield f"{run} had reached {reached} before, so nothing was trained: `{resume}` goes on."
    result = run / CHECKPOINTS / names[0]
    quoted = shlex.quote(str(result))
    is_marks = isinstance(trainer.lightning_module, PunctuationTraining)
    use = f"asr punctuation add BUNDLE {quoted}" if is_marks else f"asr export {quoted} BUNDLE"
    about = "has the fewest errors" if names[0] == BEST else "is the last one"
    best = next((one for one in trainer.callbacks if isinstance(one, BestCheckpoint)), None)  # type: ignore[attr-defined]
    if best and not is_marks and (best.best_model_score or 0.0) > _WORTHLESS:
        yield (
            f"{result} {about}, and yet its {best.monitor} is above {_WORTHLESS:.0%}, so it reads "
            "almost nothing: train for longer, or on more speech."
        )
    yield f"{result} {about}: `{use}` puts it into a bundle."


def _command_line(arguments: Sequence[str]) -> type[RunCLI]:
    """The command line of the task that the arguments, or their configs, name."""
    return PunctuationCLI if given(arguments, "task", "speech") == "punctuation" else TrainingCLI
