"""`asr fit | validate | test`: Lightning's own command line around our module and data."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins import CheckpointIO

from asr.bundle import Checkpoint
from asr.errors import BadOption
from asr.model import ModelConfig
from asr.text import Units
from asr.training.checkpoints import AtomicCheckpointIO, BestCheckpoint, LastCheckpoint
from asr.training.data import SpeechData
from asr.training.module import CtcTraining

CONFIG, CHECKPOINTS, LAST = "config.yaml", "checkpoints", "last.ckpt"


class TrainingCLI(LightningCLI):
    """A run lives in one folder, `trainer.default_root_dir`: config, checkpoints, logs.

    No hyper-parameters are stored in checkpoints: since Lightning 2.5 its CLI would let them
    override the command line (pytorch-lightning#21455).
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data.units", "model.n_units", compute_fn=_count)
        parser.set_defaults({"trainer.default_root_dir": "runs/unnamed"})

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer, with what a run keeps in its folder beside what the config has."""
        config = self._get(self.config_init, "trainer")
        run = Path(config.default_root_dir)
        plugins = _listed(config.plugins)
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            kwargs["plugins"] = [*plugins, AtomicCheckpointIO()]
        if self.subcommand == "fit":
            self._refuse_another_run(run)
            if config.logger is None:
                kwargs["logger"] = [
                    TensorBoardLogger(str(run), name="", version=""),
                    CSVLogger(str(run), name="csv"),
                ]
            if config.enable_checkpointing is not False and not config.fast_dev_run:
                folder = run / CHECKPOINTS
                ours = [BestCheckpoint(folder), LastCheckpoint(folder)]
                kwargs["callbacks"] = [*_listed(config.callbacks), *ours]
        elif config.logger is None:
            kwargs["logger"] = False
        return super().instantiate_trainer(**kwargs)

    def _refuse_another_run(self, run: Path) -> None:
        last = run / CHECKPOINTS / LAST
        given = self._get(self.config, "ckpt_path")
        within = given is not None and run.resolve() in Path(given).resolve().parents
        if last.exists() and not within:
            raise BadOption(
                f"{run} already holds a run: go on with `asr fit --resume {run}`, or give "
                "another folder with --trainer.default_root_dir."
            )

    def after_instantiate_classes(self) -> None:
        """Take the units of the checkpoint, which must fit the config."""
        path = self._get(self.config, "ckpt_path")
        if path is None:
            if self.subcommand in ("validate", "test"):
                raise BadOption(f"asr {self.subcommand} needs a checkpoint: give --ckpt_path FILE.")
            return
        checkpoint = Checkpoint.read(Path(path))
        _same_layers(Path(path), checkpoint.model.config, self.model.network.config)
        self.datamodule.adopt(checkpoint.tokenizer, Path(path))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _same_layers(path: Path, trained: ModelConfig, given: ModelConfig) -> None:
    # Dropout has no weights: it may change from one part of a run to the next.
    if replace(trained, dropout=given.dropout) != given:
        raise BadOption(
            f"{path} was trained with {trained}, the config says {given}: give the layers that "
            "it was trained with, or start a new run."
        )


class _SaveConfig(SaveConfigCallback):
    """Saves the config in the run's folder, wherever the loggers write."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        path = Path(trainer.default_root_dir) / CONFIG
        path.parent.mkdir(parents=True, exist_ok=True)
        self.parser.save(self.config, path, skip_none=False, overwrite=True, multifile=False)


class _ParsedOnly(TrainingCLI):
    """Reads a config and builds nothing from it."""

    def instantiate_classes(self) -> None:
        pass

    def after_instantiate_classes(self) -> None:
        pass


def read_config(path: Path) -> tuple[ModelConfig, Units]:
    """The layers and the units of a config of `fit`; exits with 2 where it does not parse."""
    if not path.is_file():
        raise BadOption(f"there is no config {path}; name a YAML file of `asr fit`.")
    _hush()
    parsed = _ParsedOnly(CtcTraining, SpeechData, run=False, args=["--config", str(path)])
    config = parsed.config
    return ModelConfig.from_dict(config.model.network.as_dict()), _units(config.data.units)


def _units(values: Any) -> Units:
    return values if isinstance(values, Units) else Units(**values.as_dict())


def _count(values: Any) -> int:
    return _units(values).count()


def resume_arguments(run: Path) -> list[str]:
    """The arguments with which `fit` goes on from a run's folder, wherever that has moved."""
    config, last = run / CONFIG, run / CHECKPOINTS / LAST
    if not config.exists():
        raise BadOption(f"{run} cannot be resumed: {config} is not there; name a run's folder.")
    if not last.exists():
        raise BadOption(
            f"{run} cannot be resumed, as it has not finished an epoch: start it again with "
            f"`asr fit --config {config}`."
        )
    folder = ["--trainer.default_root_dir", str(run)]
    return ["--config", str(config), *folder, "--ckpt_path", str(last)]


def _hush() -> None:
    """Keep from users what Lightning says about itself."""
    for message in ("LightningCLI's args parameter", ".*isinstance.treespec, LeafSpec"):
        warnings.filterwarnings("ignore", message)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: "Tip:" not in record.getMessage()
    )


def run(subcommand: str, arguments: Sequence[str]) -> None:
    """Parse the arguments and run the subcommand, as `LightningCLI` does."""
    _hush()
    TrainingCLI(
        CtcTraining,
        SpeechData,
        args=[subcommand, *arguments],
        save_config_callback=_SaveConfig if subcommand == "fit" else None,
        save_config_kwargs={"save_to_log_dir": False},
        trainer_defaults={"devices": 1, "use_distributed_sampler": False},
        seed_everything_default=1,
    )
