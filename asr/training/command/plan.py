"""The content of a config of `asr fit`, read without training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lightning.pytorch.cli import LightningArgumentParser

from asr.model import ModelConfig
from asr.text import PLAIN, Normaliser, Tokenizer, Units, normaliser
from asr.training.command.cli import (
    PunctuationCLI,
    RunCLI,
    Task,
    TrainingCLI,
    initial_language,
    kept_tokenizer,
    parse,
    units_of,
)
from asr.training.command.parser import StrictParser
from asr.training.data.module import SpeechData
from asr.training.lightning_internals import without_messages
from asr.training.module import CtcTraining


class _CreatesNothing(RunCLI):
    """Reads a config without creating anything from it."""

    def instantiate_classes(self) -> None:
        pass

    def after_instantiate_classes(self) -> None:
        pass


class _ParsedOnly(_CreatesNothing, TrainingCLI):
    """Of a recogniser."""


class _OfConfig(_ParsedOnly):
    """Of a config, also of one that a run has saved, which names what it went on from."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        for key in ("ckpt_path", "weights_only"):
            parser.add_argument(f"--{key}", default=None, type=str | bool | None)


class _ParsedMarks(_CreatesNothing, PunctuationCLI):
    """Of a model of marks."""


class _KeptUnits:
    """The units of the initial weights, in place of `Units`."""

    def __init__(self, path: Path | None) -> None:
        self._tokenizer = kept_tokenizer(path)

    hint = ""

    def tokenizer(self, texts: object) -> Tokenizer:  # noqa: ARG002
        """The tokenizer of the initial weights."""
        return self._tokenizer


@dataclass(frozen=True)
class Plan:
    """What a config of `fit` trains, and the data it is validated on."""

    network: ModelConfig
    units: Units | _KeptUnits
    root: str | None
    dev: str
    shared_speakers: bool
    """Whether training may use speakers of `dev`."""
    normal: Normaliser
    """Gives texts their normal form."""


def read_config(path: Path) -> Plan:
    """The plan of a config; BadOption if it does not parse."""
    with without_messages("Seed set to .*"):  # nothing is trained
        config = parse(["--config", str(path)], _OfConfig, run=False).config
    units = config.data.units
    network = ModelConfig.from_dict(config.model.network.as_dict())
    kept = _KeptUnits(config.model.init_from) if units is None else units_of(units)
    language = config.data.language or initial_language(config.model.init_from)
    shared = config.data.shared_speakers == "allow"
    normal = normaliser(PLAIN, language)
    return Plan(network, kept, config.data.root, config.data.dev, shared, normal)


def built(arguments: Sequence[str]) -> tuple[CtcTraining, SpeechData]:
    """The untrained model and the data for these arguments of `fit`, without a trainer."""
    cli = parse(arguments, _OfConfig, run=False)
    made = cli.parser.instantiate_classes(cli.config)
    return made.model, made.data


def keys(task: Task = "speech") -> list[str]:
    """Every key that a config of `fit` may have."""
    cli = parse([], _ParsedMarks if task == "punctuation" else _ParsedOnly, run=False)
    return cast(StrictParser, cli.parser).keys()
