"""All uses of Lightning, jsonargparse and torch beyond their public interfaces.

Seen on lightning 2.6.6, jsonargparse 4.53.0 and torch 2.14.1. When one of them is upgraded, read
this module first: each part names what it relies on.
"""

import logging
import re
import signal
import threading
import warnings
from argparse import SUPPRESS
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import lightning as L
from jsonargparse import ArgumentParser, set_parsing_settings
from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.cli import LightningCLI
from torch import Tensor

PrecisionInput = _PRECISION_INPUT
"""The values of `trainer.precision` that Lightning takes."""

# Progress of a run. `fit_loop.epoch_loop.batch_progress` is not documented, but no public property
# counts the batches before and after a resume.


def batches_seen(trainer: L.Trainer) -> int:
    """Training batches that the run has started, also before it was resumed."""
    return trainer.fit_loop.epoch_loop.batch_progress.total.ready


def is_last_batch(trainer: L.Trainer) -> bool:
    """Whether the batch just trained on is the last one of its epoch."""
    return trainer.fit_loop.epoch_loop.batch_progress.is_last_batch


# SIGTERM. Lightning's handler sets `received_sigterm`, which ends the run before the next batch, be
# it between the batches of one optimizer step, or after callbacks have seen the batch: what was not
# saved by then is lost.


class Termination:
    """Asks to stop by SIGTERM or Ctrl-C, of which Lightning hears only once the run is saved."""

    def __init__(self) -> None:
        self.is_asked = False
        self._by_hand = False
        self._interrupt: Any = None

    def listen(self, trainer: L.Trainer) -> None:
        """Takes both signals, in a run with one process."""
        if trainer.world_size == 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._ask)
            before = signal.signal(signal.SIGINT, self._ask)
            self._interrupt = before or signal.default_int_handler

    def leave(self) -> None:
        """Gives Ctrl-C back; Lightning does so with SIGTERM."""
        if self._interrupt is not None:
            signal.signal(signal.SIGINT, self._interrupt)
            self._interrupt = None

    def _ask(self, number: int, _frame: Any) -> None:
        self.is_asked = True
        if number == signal.SIGINT:
            self._by_hand = True
            self.leave()  # a second one stops at once

    def pass_on(self, trainer: L.Trainer) -> None:
        """Ends the run, with `SIGTERMException` or `KeyboardInterrupt`, if that was asked."""
        if self._by_hand:
            raise KeyboardInterrupt
        if self.is_asked:
            trainer._signal_connector.received_sigterm = True


# The optimizer. Loading a checkpoint overwrites each setting of a parameter group, `fused` too,
# which AdamW reads at every step.


def update_group(
    group: dict[str, Any], rate: float, momentum: float, decay: float, fused: bool
) -> None:
    """Sets what one parameter group of AdamW uses for the next step."""
    group.update(lr=rate, weight_decay=decay, fused=fused)
    group["betas"] = (momentum, group["betas"][1])


# Weight averaging. Until the first update Lightning's average is a copy of the module as it was
# built: without the statistics of the features and the initial weights. `_average_model`,
# `_swap_models` and `_copy_average_to_current` are its own.


class AveragingFromFirstStep(WeightAveraging):
    """Lightning's average of the weights, which is not used before its first update."""

    def _swap_models(self, pl_module: L.LightningModule) -> None:
        if self._has_begun:
            super()._swap_models(pl_module)

    def _copy_average_to_current(self, pl_module: L.LightningModule) -> None:
        if self._has_begun:
            super()._copy_average_to_current(pl_module)

    @property
    def _has_begun(self) -> bool:
        return self._average_model is not None and bool(self._average_model.n_averaged > 0)


# The best checkpoint. Lightning ranks checkpoints by one metric, which it takes from the dict of
# `_monitor_candidates`.


class RankedCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint with the least of a metric, or of what is made of all metrics."""

    def ranked(self, metrics: Mapping[str, Tensor]) -> Tensor | None:
        """What the best checkpoint has the least of, in place of the metric `monitor`."""
        raise NotImplementedError

    def _monitor_candidates(self, trainer: L.Trainer) -> dict[str, Tensor]:
        found = super()._monitor_candidates(trainer)
        rank = self.ranked(found)
        return found if rank is None else {**found, str(self.monitor): rank}


# The command line.


class PlainCLI(LightningCLI):
    """Lightning's command line without its reading of hyper-parameters from checkpoints.

    With `only`, it knows one subcommand: a parser is built from the docstrings of all that it may
    create, which takes seconds for each subcommand.
    """

    def __init__(self, *args: Any, only: str | None = None, **kwargs: Any) -> None:
        if only is not None:
            known = {only: self.subcommands()[only]}
            self.subcommands = lambda: known  # type: ignore[method-assign]
        super().__init__(*args, **kwargs)

    def _parse_ckpt_path(self) -> None:
        """Does nothing. Lightning would read a whole checkpoint for hyper-parameters, which ours do
        not contain (pytorch-lightning#21455)."""

    def setting(self, name: str, instantiated: bool = False) -> Any:
        """A value of the config, whichever subcommand it belongs to."""
        return self._get(self.config_init if instantiated else self.config, name)


_MESSAGES = logging.getLogger("lightning.pytorch.utilities.rank_zero")
_SEEDS = logging.getLogger("lightning.fabric.utilities.seed")


def silence_lightning() -> None:
    """Hides Lightning's messages about itself, which it has no settings for."""
    for message in (
        "LightningCLI's args parameter",
        ".*isinstance.treespec, LeafSpec",
        "Precision .* is not supported by the model summary",
        "Checkpoint directory .* exists and is not empty",  # whose run is resumed, or refused
    ):
        warnings.filterwarnings("ignore", message)
    _MESSAGES.addFilter(
        lambda record: not {"Tip:", "KeyboardInterrupt,", "TPU"} & set(record.getMessage().split())
    )


@contextmanager
def without_messages(pattern: str) -> Iterator[None]:
    """Hides those messages of a run that match the pattern as a whole."""

    def is_heard(record: logging.LogRecord) -> bool:
        return re.fullmatch(pattern, record.getMessage()) is None

    for logger in (_MESSAGES, _SEEDS):
        logger.addFilter(is_heard)
    try:
        yield
    finally:
        for logger in (_MESSAGES, _SEEDS):
            logger.removeFilter(is_heard)


# The parser's actions, and its errors, whose only form is text.

_GROUP = re.compile(
    r"""Parser key "([\w.]+)":|([\w.]+) does not fit:|Group '([\w.]+)' does not accept"""
)  # the second is our own
_UNKNOWN = re.compile(
    r"unrecognized arguments: --([\w.]+)|does not accept option '([\w.]+)'"
    r"|Option '([\w.]+)' is not accepted|there is no key ([\w.]+\w)"
)
_INNERMOST = re.compile(r"Errors: - (?!Does not validate)(.*?)(?: - Expected a| Given value|$)")

_KIND = r"(typing\.Literal\[[^\]]*\]|<class '[\w.]+'>)"
_TYPE = re.compile(f"- Expected a {_KIND}")
_VALUE = re.compile(rf"Expected a {_KIND}\. Got value: (.*?)\.?(?: - Expected a| Given value|$)")
_UNION_VALUE = re.compile(
    rf"Errors: (?:- Expected a {_KIND} ?)+Given value type: .* Given value: (.*)"
)
_GROUP_WANTED = re.compile(
    r"(?:Expected a dot import path string: |Unable to load config \")(.*?)"
    r"(?:\"|\.?$| - Expected a| Given value)"
)
_CLASS = re.compile(r"<class '([\w.]+)'>")
_NOUNS = {
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "list": "a list in brackets",
    "NoneType": "null",
    "str": "a text",
    "tuple": "a list in brackets",
}


def parser_actions(parser: Any) -> list[Any]:
    """The actions of a parser's keys, or of all its subcommands, without those for help."""
    subcommands = getattr(parser, "_subcommands_action", None)
    parsers = [parser] if subcommands is None else list(subcommands.choices.values())
    actions = [action for inner in parsers for action in inner._actions]
    return [action for action in actions if "help" not in action.dest.split(".")]


def shorten_help(parser: Any, usage: str, kept: frozenset[str]) -> None:
    """Leaves Lightning's own keys out of a parser's help, but for those in `kept`."""
    ours: list[Any] = []
    theirs: list[Any] = []
    for group in parser._action_groups:
        keys = [action.dest for action in group._group_actions]
        is_theirs = any(key == "ckpt_path" or key.partition(".")[0] == "trainer" for key in keys)
        (theirs if is_theirs else ours).append(group)
    for group in theirs:
        for action in group._group_actions:
            if action.dest not in kept:
                action.help = SUPPRESS
    parser._action_groups = ours + theirs
    parser.usage, parser.description = usage, None


def list_in_help(parser: Any, optional: Mapping[str, type]) -> None:
    """Shows the keys of groups that may be left out, in place of the options that show them."""
    _hide(parser, [f"{name}.help" for name in optional])
    for name, kind in optional.items():
        listing = ArgumentParser(add_help=False)  # of its own: the names are taken in the parser
        listing.add_class_arguments(kind, name)
        _hide(listing, [*optional, *(f"{inner}.help" for inner in optional)])
        parser._action_groups += [group for group in listing._action_groups if group._group_actions]


def _hide(parser: Any, keys: Collection[str]) -> None:
    for action in parser._actions:
        if {f"--{key}" for key in keys} & {*action.option_strings}:
            action.help = SUPPRESS


def read_attribute_docs(wanted: bool) -> None:
    """Whether help shows the docstrings below a dataclass's fields, which take time to read."""
    set_parsing_settings(docstring_parse_attribute_docstrings=wanted)


def type_of(action: Any) -> Any:
    """The type of a parser's key, where it has one."""
    return getattr(action, "_typehint", None)


def error_groups(message: str) -> tuple[list[str], str]:
    """The groups of keys in which an error is, outermost first, and the rest of its message."""
    groups = list(_GROUP.finditer(message))
    names = [name for name, _ in groupby(group[group.lastindex or 0] for group in groups)]
    return names, message[groups[-1].end() :] if groups else ""


def unknown_key(message: str) -> str | None:
    """The unknown key that an error names, within its group."""
    match = _UNKNOWN.search(message)
    return next(part for part in match.groups() if part) if match else None


def innermost(message: str) -> str:
    """The reason in an error about a value that may have several types."""
    message = " ".join(message.split()).removeprefix("the config cannot be used: ")
    if wanted := _wanted(message):
        return wanted
    message = message.partition(". - Expected a")[0]  # behind a sentence of ours
    match = _INNERMOST.search(message)
    return (match[1] if match else message).strip(" .")


def _wanted(message: str) -> str:
    """What is to be given in place of a value, if the error says no more than its types."""
    if match := _GROUP_WANTED.search(message):
        return f"give its keys, not {match[1]!r}"
    if match := _VALUE.search(message):
        kinds, value = [match[1]], match[2]
    elif match := _UNION_VALUE.search(message):
        kinds, value = _TYPE.findall(message), match[2]
    else:
        return ""
    # One choice may be in several types, as "16" and 16 are.
    choices = dict.fromkeys(choice for kind in kinds for choice in _choices(kind))
    *first, last = [choice for choice in choices if choice != "null"] + ["null"] * (
        "null" in choices
    )
    listed = f"{', '.join(first)} or {last}" if first else last
    return f"give {listed}, not {value!r}"


def _choices(kind: str) -> list[str]:
    if name := _CLASS.fullmatch(kind):
        return [_NOUNS.get(name[1], name[1])]
    return [choice.strip("'\" ") for choice in kind[kind.index("[") + 1 : -1].split(",")]


def group_values(values: Any) -> dict[str, Any]:
    """The values of a group that may be left out; its default comes as a class and arguments."""
    plain: dict[str, Any] = values.get("init_args", values).as_dict()
    return plain
