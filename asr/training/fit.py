"""`asr fit | validate | test`: Lightning's own command line around our module and data."""

import logging
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lightning import LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException

from asr.bundle import Checkpoint
from asr.errors import BadOption
from asr.model import ModelConfig
from asr.text import Tokenizer, Units
from asr.training.checkpoints import (
    LAST,
    PREVIOUS,
    AtomicCheckpointIO,
    BestCheckpoint,
    LastCheckpoint,
    Saving,
    newest,
)
from asr.training.data import SpeechData
from asr.training.module import CtcTraining
from asr.training.parser import StrictParser, innermost
from asr.training.record import RunRecord
from asr.training.refusals import refuse_half_on_cpu, refuse_idle
from asr.training.rehearsal import is_out_of_memory
from asr.training.start import Start, same_layers

CONFIG, CHECKPOINTS = "config.yaml", "checkpoints"


class TrainingCLI(LightningCLI):
    """A run lives in one folder, `trainer.default_root_dir`: config, checkpoints, logs.

    No hyper-parameters are stored in checkpoints: since Lightning 2.5 its CLI would let them
    override the command line (pytorch-lightning#21455).
    """

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Those of the command line: a model is used through its bundle, not by `predict`."""
        ours = LightningCLI.subcommands()
        return {name: ours[name] for name in ("fit", "validate", "test")}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_class_arguments(Saving, "saving")
        parser.link_arguments("data.units", "model.n_units", compute_fn=_count)
        parser.set_defaults({"trainer.default_root_dir": "runs/unnamed"})

    def before_instantiate_classes(self) -> None:
        """Count the units that are kept: of the checkpoint, or of what training starts from."""
        if self.subcommand is None:
            return
        config = self.config[self.subcommand]
        if config.data.units is None:
            path = config.ckpt_path or config.model.init_from
            config.model.n_units = _kept(path and Path(path)).n_units

    def instantiate_classes(self) -> None:
        """All that the config names; BadOption where a group of it contradicts itself."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            raise BadOption(f"{innermost(str(error))}.") from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer, with what a run keeps in its folder beside what the config has."""
        config = self._get(self.config_init, "trainer")
        refuse_idle(config)
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
            if not config.fast_dev_run:
                kwargs["callbacks"] = [*_listed(config.callbacks), RunRecord(run, CONFIG)]
                if config.enable_checkpointing is not False:
                    folder, saving = run / CHECKPOINTS, self._get(self.config_init, "saving")
                    kwargs["callbacks"] += [BestCheckpoint(folder), LastCheckpoint(folder, saving)]
        elif config.logger is None:
            kwargs["logger"] = False
        trainer = super().instantiate_trainer(**kwargs)
        refuse_half_on_cpu(trainer, config.precision)
        return trainer

    def _parse_ckpt_path(self) -> None:
        """Not what Lightning does: read a whole checkpoint for settings of which ours has none."""

    def _refuse_another_run(self, run: Path) -> None:
        exists = any((run / CHECKPOINTS / name).exists() for name in (LAST, PREVIOUS))
        given = self._get(self.config, "ckpt_path")
        within = given is not None and run.resolve() in Path(given).resolve().parents
        if exists and not within:
            raise BadOption(
                f"{run} already holds a run: go on with `asr fit --resume {run}`, or give "
                "another folder with --trainer.default_root_dir."
            )

    def after_instantiate_classes(self) -> None:
        """Take the units of the checkpoint, or of what training starts from; both must fit."""
        path = self._get(self.config, "ckpt_path")
        layers = self.model.network.config
        augment = self.model.augment if self.subcommand == "fit" else None
        if augment is not None and augment.noise is not None:
            augment.noise.found(self.datamodule.root)  # before hours of data are looked through
        if path is not None:
            checkpoint = Checkpoint.read(Path(path))
            same_layers(Path(path), checkpoint.model.config, layers)
            self.datamodule.adopt(checkpoint.tokenizer, Path(path))
        elif self.subcommand in ("validate", "test"):
            raise BadOption(f"asr {self.subcommand} needs a checkpoint: give --ckpt_path FILE.")
        elif self.model.init_from is None and self.datamodule.old_dev is not None:
            raise BadOption(
                "data.old_dev is there to see what a trained model forgets: give model.init_from "
                "too, or leave it out."
            )
        elif self.model.init_from is not None:
            start = Start.read(self.model.init_from)
            same_layers(start.path, start.model.config, layers)
            if self.datamodule.units is None:
                self.datamodule.adopt(start.tokenizer, start.path)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


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


class _KeptUnits:
    """The units of what training starts from, in the place of `Units`."""

    def __init__(self, path: Path | None) -> None:
        self._tokenizer = _kept(path)

    def tokenizer(self, texts: object) -> Tokenizer:  # noqa: ARG002
        """The tokenizer, whatever the texts."""
        return self._tokenizer


@dataclass(frozen=True)
class Plan:
    """What a config of `fit` would train, and on what it would be judged."""

    network: ModelConfig
    units: Units | _KeptUnits
    root: str | None
    dev: str


def read_config(path: Path) -> Plan:
    """The plan of a config; BadOption where it does not parse."""
    if not path.is_file():
        raise BadOption(f"there is no config {path}; name a YAML file of `asr fit`.")
    _hush()
    config = _parsed(["--config", str(path)], _ParsedOnly, run=False).config
    units = config.data.units
    network = ModelConfig.from_dict(config.model.network.as_dict())
    kept = _KeptUnits(config.model.init_from) if units is None else _units(units)
    return Plan(network, kept, config.data.root, config.data.dev)


def built(arguments: Sequence[str]) -> tuple[CtcTraining, SpeechData]:
    """The model and the data of the arguments of `fit`, without a trainer and untrained."""
    _hush()
    cli = _parsed(arguments, _ParsedOnly, run=False)
    made = cli.parser.instantiate_classes(cli.config)
    return made.model, made.data


def keys() -> list[str]:
    """Every key that a config of `fit` may have."""
    parser = _parsed([], _ParsedOnly, run=False).parser
    return cast(StrictParser, parser).keys()


def _kept(path: Path | None) -> Tokenizer:
    if path is None:
        raise BadOption(
            "data.units is null, which keeps the units of model.init_from: set that, or give units."
        )
    return Start.read(path).tokenizer


def _units(values: Any) -> Units:
    if isinstance(values, Units):
        return values
    # The default of a group that may be left out comes as a class and its arguments.
    return Units(**values.get("init_args", values).as_dict())


def _count(values: Any) -> int:
    return 1 if values is None else _units(values).count()  # kept ones are counted once parsed


def resume_arguments(run: Path) -> list[str]:
    """The arguments with which `fit` goes on from a run's folder, wherever that has moved."""
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


def _hush() -> None:
    """Keep from users what Lightning says about itself."""
    for message in (
        "LightningCLI's args parameter",
        ".*isinstance.treespec, LeafSpec",
        "Precision .* is not supported by the model summary",
    ):
        warnings.filterwarnings("ignore", message)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: "Tip:" not in record.getMessage()
    )


def _parsed(arguments: Sequence[str], cli: type[TrainingCLI], **kwargs: Any) -> TrainingCLI:
    return cli(
        CtcTraining,
        SpeechData,
        args=list(arguments),
        parser_class=StrictParser,
        trainer_defaults={"devices": 1, "use_distributed_sampler": False},
        seed_everything_default=1,
        auto_configure_optimizers=False,  # its keys would take the place of model.optimizer
        **kwargs,
    )


def run(subcommand: str, arguments: Sequence[str]) -> None:
    """Parse the arguments and run the subcommand, as `LightningCLI` does."""
    _hush()
    try:
        _parsed(
            [subcommand, *arguments],
            TrainingCLI,
            save_config_callback=_SaveConfig if subcommand == "fit" else None,
            save_config_kwargs={"save_to_log_dir": False},
        )
    except SIGTERMException:  # Lightning would end as if all were done
        sys.exit(128 + signal.SIGTERM)
    except MisconfigurationException as error:
        raise BadOption(" ".join(str(error).split())) from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise BadOption(
            "memory ran out in the middle of the run: lower data.batch_seconds, and go on with "
            "`asr fit --resume RUN`."
        ) from error
