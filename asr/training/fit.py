"""`asr fit | validate | test`: Lightning's own command line around our module and data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from asr.errors import BadOption
from asr.model import ModelConfig
from asr.text import Units
from asr.training.checkpoints import AtomicCheckpointIO
from asr.training.data import SpeechData
from asr.training.module import CtcTraining

CHECKPOINTS = "checkpoints"


class TrainingCLI(LightningCLI):
    """A run lives in one folder, `trainer.default_root_dir`: config, checkpoints, logs.

    No hyper-parameters are stored in checkpoints: since Lightning 2.5 its CLI would let them
    override the command line (pytorch-lightning#21455).
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data.units", "model.n_units", compute_fn=_count)
        parser.set_defaults({"trainer.default_root_dir": "runs/unnamed"})

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer; loggers and checkpoints in the run's folder unless the config has some."""
        config = self.config[self.subcommand].trainer
        run = Path(config.default_root_dir)
        if self.subcommand == "fit":
            resuming = self.config.fit.get("ckpt_path") is not None
            if not resuming and (run / "config.yaml").exists():
                raise BadOption(
                    f"{run} already holds a run: go on with `asr fit --resume {run}`, or give "
                    "another folder with --trainer.default_root_dir."
                )
            if config.logger is None:
                # The first logger's folder is where the config is saved.
                kwargs["logger"] = [
                    TensorBoardLogger(str(run), name="", version=""),
                    CSVLogger(str(run), name="csv"),
                ]
        elif config.logger is None:
            kwargs["logger"] = False
        if config.plugins is None:
            kwargs["plugins"] = [AtomicCheckpointIO()]
        trainer = super().instantiate_trainer(**kwargs)
        if self.subcommand == "fit" and not config.fast_dev_run:
            _keep_best_and_last(trainer, run)
        return trainer


class _ParsedOnly(TrainingCLI):
    """Reads a config and builds nothing from it."""

    def instantiate_classes(self) -> None:
        pass


def read_config(path: Path) -> tuple[ModelConfig, Units]:
    """The layers and the units of a config of `fit`; exits with 2 where it does not parse."""
    if not path.is_file():
        raise BadOption(f"there is no config {path}; name a YAML file of `asr fit`.")
    parsed = _ParsedOnly(CtcTraining, SpeechData, run=False, args=["--config", str(path)])
    config = parsed.config
    return ModelConfig.from_dict(config.model.network.as_dict()), _units(config.data.units)


def _units(values: Any) -> Units:
    return values if isinstance(values, Units) else Units(**values.as_dict())


def _count(values: Any) -> int:
    return _units(values).count()


def _keep_best_and_last(trainer: Trainer, run: Path) -> None:
    """Our checkpoints in place of Lightning's default ones; a config's own stay."""
    default = ModelCheckpoint()
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.state_key != default.state_key:
            return
    folder = run / CHECKPOINTS
    best = ModelCheckpoint(
        folder,
        "best",
        monitor="val/wer",
        mode="min",
        save_on_train_epoch_end=False,
        enable_version_counter=False,
    )
    # `save_last` above would save only when the best does.
    last = ModelCheckpoint(
        folder, "last", every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    kept = [callback for callback in callbacks if not isinstance(callback, ModelCheckpoint)]
    trainer.callbacks = [*kept, best, last]  # type: ignore[attr-defined]


def resume_arguments(run: Path) -> list[str]:
    """The arguments with which `fit` goes on from a run's folder."""
    config, last = run / "config.yaml", run / CHECKPOINTS / "last.ckpt"
    for needed in (config, last):
        if not needed.exists():
            raise BadOption(
                f"{run} cannot be resumed: {needed} is not there; name the folder of a run "
                "that has finished an epoch."
            )
    return ["--config", str(config), "--ckpt_path", str(last)]


def run(subcommand: str, arguments: Sequence[str]) -> None:
    """Parse the arguments and run the subcommand, as `LightningCLI` does."""
    fitting = subcommand == "fit"
    TrainingCLI(
        CtcTraining,
        SpeechData,
        args=[subcommand, *arguments],
        save_config_callback=SaveConfigCallback if fitting else None,
        save_config_kwargs={"overwrite": True},
        trainer_defaults={"use_distributed_sampler": False},
        seed_everything_default=1,
    )
