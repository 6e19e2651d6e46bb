"""Lightning's command line, set up for our module and data."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from lightning import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import rank_zero_info

from asr.corpus import locate
from asr.counting import counted
from asr.errors import BadOption
from asr.text import DEFAULT_LANGUAGE, PLAIN, Normaliser, Tokenizer, Units, normaliser
from asr.training.callbacks.checkpoints import (
    LAST,
    PREVIOUS,
    AtomicCheckpointIO,
    BestCheckpoint,
    LastCheckpoint,
    Saving,
)
from asr.training.checkpoint import Checkpoint
from asr.training.command.arguments import UNNAMED
from asr.training.command.parser import StrictParser, WholeHelp
from asr.training.command.precision import SpeechTrainer
from asr.training.command.refusals import refuse_fewer_epochs, refuse_half_on_cpu, refuse_idle
from asr.training.data.folder import corpus_folder
from asr.training.data.module import SpeechData, texts_of
from asr.training.initial_weights import InitialWeights, same_layers
from asr.training.lightning_internals import (
    PlainCLI,
    group_values,
    innermost,
    read_attribute_docs,
    silence_lightning,
)
from asr.training.module import CtcTraining
from asr.training.punctuation.data import PunctuationData
from asr.training.punctuation.module import PunctuationTraining
from asr.training.run_record import RunRecord

_RARE = 20  # occurrences
CONFIG, CHECKPOINTS = "config.yaml", "checkpoints"
Task = Literal["speech", "punctuation"]
HELP, HELP_ALL = "--help", "--help-all"
TASK_HELP = "What is trained: a recogniser, or a model of marks and capitals."
Cli = TypeVar("Cli", bound="RunCLI")


class RunCLI(PlainCLI):
    """The command line of a run, whose folder `trainer.default_root_dir` holds all its files.

    No hyper-parameters are stored in checkpoints: since Lightning 2.5 its CLI would let them
    override the command line (pytorch-lightning#21455).
    """

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """All but `predict`: a model is used through its bundle."""
        all_of_them = LightningCLI.subcommands()
        return {name: all_of_them[name] for name in ("fit", "validate", "test")}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--task", default="speech", type=Task, help=TASK_HELP)
        parser.add_class_arguments(Saving, "saving")
        parser.set_defaults({"trainer.default_root_dir": UNNAMED})

    def instantiate_classes(self) -> None:
        """Creates what the config describes; BadOption if a group contradicts itself."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            raise BadOption(f"{innermost(str(error))}.") from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer of the config, with the loggers and callbacks that write a run's folder."""
        config = self.setting("trainer", instantiated=True)
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
                kwargs["callbacks"] = [*_listed(config.callbacks), self._record(run)]
                if config.enable_checkpointing is not False:
                    folder, saving = run / CHECKPOINTS, self.setting("saving", instantiated=True)
                    kwargs["callbacks"] += [BestCheckpoint(folder), LastCheckpoint(folder, saving)]
        elif config.logger is None:
            kwargs["logger"] = False
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except TypeError as error:  # such as devices that are no number
            raise BadOption(f"the trainer cannot be set up: {innermost(str(error))}.") from error
        refuse_half_on_cpu(trainer, config.precision)
        return trainer

    def _record(self, run: Path) -> RunRecord:
        parser, config = self._parser(self.subcommand), self.config[self.subcommand]
        return RunRecord(run / CONFIG, lambda: parser.dump(config, skip_none=False))

    def after_instantiate_classes(self) -> None:
        """BadOption if a run that is resumed is beyond its last epoch."""
        path = self.setting("ckpt_path")
        if self.subcommand == "fit" and path is not None:
            refuse_fewer_epochs(self.trainer, Path(path))

    def _refuse_another_run(self, run: Path) -> None:
        exists = any((run / CHECKPOINTS / name).exists() for name in (LAST, PREVIOUS))
        given = self.setting("ckpt_path")
        within = given is not None and run.resolve() in Path(given).resolve().parents
        if exists and not within:
            raise BadOption(
                f"{run} already holds a run: go on with `asr fit --resume {shlex.quote(str(run))}` "
                "or give another folder with --trainer.default_root_dir."
            )


class TrainingCLI(RunCLI):
    """The command line of a recogniser."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        parser.link_arguments("data.units", "model.n_units", compute_fn=_count_units)
        parser.link_arguments("data.units", "model.n_phones", compute_fn=_count_phones)

    def before_instantiate_classes(self) -> None:
        """Settles units that only files tell: kept ones, and the alphabet of the training texts."""
        if self.subcommand is None:
            return
        config = self.config[self.subcommand]
        if config.data.units is None:
            path = config.ckpt_path or config.model.init_from
            kept = kept_tokenizer(path and Path(path))
            config.model.n_units, config.model.n_phones = kept.n_units, kept.n_phones
        elif (units := units_of(config.data.units)).reads_texts:
            language = config.data.language or initial_language(config.model.init_from)
            alphabet = _alphabet(units, config.data, normaliser(PLAIN, language))
            config.data.units.alphabet, config.data.units.fewest = alphabet, 1
            config.model.n_units = len(alphabet) + 1

    def after_instantiate_classes(self) -> None:
        """Adopts the units of the checkpoint or of the initial weights, which must fit."""
        super().after_instantiate_classes()
        path = self.setting("ckpt_path")
        layers = self.model.network.config
        augment = self.model.augment if self.subcommand == "fit" else None
        if augment is not None and augment.noise is not None:
            augment.noise.found(self.datamodule.root)  # before hours of data are checked
        if path is not None:
            checkpoint = Checkpoint.read(Path(path))
            same_layers(Path(path), checkpoint.model.config, layers)
            self.datamodule.adopt_language(checkpoint.language)
            self.datamodule.adopt(checkpoint.tokenizer, Path(path))
        elif self.subcommand in ("validate", "test"):
            raise BadOption(f"asr {self.subcommand} needs a checkpoint: give --ckpt_path FILE.")
        elif self.model.init_from is None and self.datamodule.old_dev is not None:
            raise BadOption(
                "data.old_dev is there to see what a trained model forgets: give model.init_from "
                "too, or leave it out."
            )
        elif self.model.init_from is not None:
            initial = InitialWeights.read(self.model.init_from)
            initial.check_layers(layers)
            self.datamodule.adopt_language(initial.language)
            if self.datamodule.units is None:
                self.datamodule.adopt(initial.tokenizer, initial.path)


class PunctuationCLI(RunCLI):
    """The command line of a model of marks and capitals."""

    def after_instantiate_classes(self) -> None:
        """Tells the data how large the model's table of pieces is."""
        super().after_instantiate_classes()
        self.datamodule.rows = self.model.network.config.rows


def is_for_help(argument: str) -> bool:
    """Whether an argument asks for what the keys mean."""
    return argument in ("-h", HELP, HELP_ALL) or (
        argument.startswith("--print_config") or argument.endswith(".help")
    )


def parse(arguments: Sequence[str], cli: type[Cli], **kwargs: Any) -> Cli:
    """Parses the arguments with a command line of this class, and runs its subcommand.

    `--help` shows our keys, `--help-all` Lightning's too.
    """
    wanted = [HELP if argument == HELP_ALL else argument for argument in arguments]
    silence_lightning()
    read_attribute_docs(any(is_for_help(argument) for argument in arguments))
    punctuation = issubclass(cli, PunctuationCLI)
    return cli(
        PunctuationTraining if punctuation else CtcTraining,
        PunctuationData if punctuation else SpeechData,
        args=wanted,
        trainer_class=SpeechTrainer,
        parser_class=WholeHelp if HELP_ALL in arguments else StrictParser,
        trainer_defaults={"devices": 1, "use_distributed_sampler": False},
        seed_everything_default=1,
        auto_configure_optimizers=False,  # its keys would replace model.optimizer
        **kwargs,
    )


def kept_tokenizer(path: Path | None) -> Tokenizer:
    if path is None:
        raise BadOption(
            "data.units is null, which keeps the units of model.init_from: set that, or give units."
        )
    return InitialWeights.read(path).tokenizer


def initial_language(path: Path | None) -> str:
    """The language of the initial weights."""
    return DEFAULT_LANGUAGE if path is None else InitialWeights.read(path).language


def _alphabet(units: Units, data: Any, normal: Normaliser) -> str:
    """The alphabet of the training texts; its rare characters are listed."""
    manifest = locate(corpus_folder(data.root), data.train)
    alphabet, counts = units.alphabet_of(texts_of(manifest, data.corpora, normal))
    rare = [(char, count) for char, count in counts.items() if count < _RARE]
    told = ", ".join(
        f"{char!r} {count}{'' if char in alphabet else ' (left out)'}" for char, count in rare
    )
    rank_zero_info(
        f"{manifest}: an alphabet of {counted(len(alphabet), 'character')}, space included"
        + (f"; rare ones, by data.units.fewest {units.fewest}: {told}" if rare else "")
    )
    return alphabet


def units_of(values: Any) -> Units:
    if isinstance(values, Units):
        return values
    return Units(**group_values(values))


def _count_units(values: Any) -> int:
    # Kept units, and those of texts, are counted after parsing.
    return 1 if values is None or units_of(values).reads_texts else units_of(values).count()


def _count_phones(values: Any) -> int:
    return 0 if values is None else units_of(values).count_phones()


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
