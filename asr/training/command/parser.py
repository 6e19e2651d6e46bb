"""The parser of configs: it refuses unknown keys and suggests the nearest one."""

import dataclasses
import difflib
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn, get_args, get_type_hints

from lightning.pytorch.cli import LightningArgumentParser

from asr.errors import BadOption
from asr.training.command.arguments import pairs
from asr.training.command.configs import check_config
from asr.training.lightning_internals import (
    error_groups,
    innermost,
    list_in_help,
    parser_actions,
    shorten_help,
    type_of,
    unknown_key,
)


class StrictParser(LightningArgumentParser):
    """Refuses unknown and abbreviated keys with one sentence."""

    command = "asr fit"
    """Whose keys these are."""
    listing = "--help"
    """The option of the command that lists them."""
    more = "`asr fit --help-all` shows all keys of Lightning's trainer."
    """What stands below the list."""
    shown = frozenset(
        f"trainer.{key}"
        for key in (
            "accumulate_grad_batches",
            "default_root_dir",
            "devices",
            "gradient_clip_val",
            "max_epochs",
            "max_steps",
            "max_time",
            "precision",
        )
    )
    """Of Lightning's keys, those that help shows too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def parse_args(self, args: Any = None, *others: Any, **options: Any) -> Any:
        """The values of the arguments; the files of `--config`, and those that stand for a group
        of keys, are checked before."""
        if files := list(pairs(args or ())):
            keys = [key.split(".") for key in self.keys()]
            groups = {".".join(key[:end]) for key in keys for end in range(1, len(key))}
            for name, value in files:
                key = name.removeprefix("--")
                if key == "config" and value:  # else the parser says that it is missing
                    check_config(Path(value), groups)
                elif key in groups and name != key and os.path.isfile(value):
                    check_config(Path(value), groups, key)
        return super().parse_args(args, *others, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """BadOption instead of a page of usage."""
        message = " ".join(message.split())
        groups, rest = error_groups(message)
        if unknown := unknown_key(message):
            key = ".".join([*groups, unknown])
            raise BadOption(f"there is no key {key}{self._nearest(key)}.") from ex
        if groups:
            raise BadOption(f"{'.'.join(groups)} does not fit: {innermost(rest)}.") from ex
        raise BadOption(f"the config cannot be used: {message.rstrip('.')}.") from ex

    def format_help(self, formatter: Any = None) -> str:
        """Our keys, and few of Lightning's."""
        self._list_groups()
        shorten_help(self, f"{self.command} --config FILE [--KEY VALUE ...]", self.shown)
        text: str = super().format_help(formatter)
        return f"{text}\n{self.more}\n" if self.more else text

    def keys(self) -> list[str]:
        """Every key that a config of any subcommand may have, also in optional groups."""
        keys: set[str] = set()
        for action in parser_actions(self):
            keys.add(action.dest)
            keys.update(_fields(action.dest, type_of(action)))
        return sorted(keys)

    def _list_groups(self) -> None:
        """Makes help show the keys of groups that may be left out."""
        found = (_groups(action.dest, type_of(action)) for action in parser_actions(self))
        list_in_help(self, dict(chain.from_iterable(found)))

    def _nearest(self, key: str) -> str:
        close = difflib.get_close_matches(key, self.keys(), n=1, cutoff=0.6)
        lists = f"; `{self.command} {self.listing}` lists them"
        return f"; did you mean {close[0]}" if close else lists


def _fields(key: str, kind: Any) -> Iterator[str]:
    """The keys within an optional group: a dataclass or None."""
    for name, group in _groups(key, kind):
        yield from (f"{name}.{field.name}" for field in dataclasses.fields(group))


def _groups(key: str, kind: Any) -> Iterator[tuple[str, Any]]:
    """An optional group, a dataclass or None, and those within it, by their names."""
    for option in get_args(kind):
        if dataclasses.is_dataclass(option) and isinstance(option, type):
            yield key, option
            for name, inner in get_type_hints(option).items():
                yield from _groups(f"{key}.{name}", inner)


class WholeHelp(StrictParser):
    """Shows the keys of Lightning, too."""

    def format_help(self, formatter: Any = None) -> str:
        self._list_groups()
        return str(LightningArgumentParser.format_help(self, formatter))
