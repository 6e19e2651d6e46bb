"""The parser of `asr fit`: what it does not know is refused, and the nearest key is named."""

import dataclasses
import difflib
import re
from collections.abc import Iterator
from typing import Any, NoReturn, get_args, get_type_hints

from lightning.pytorch.cli import LightningArgumentParser

from asr.errors import BadOption

# jsonargparse's own words, which have no other form, and ours where it tells of a group's parser.
_WITHIN = re.compile(r'Parser key "([\w.]+)":|([\w.]+) does not fit:')
_UNKNOWN = re.compile(
    r"unrecognized arguments: --([\w.]+)|does not accept option '([\w.]+)'"
    r"|Option '([\w.]+)' is not accepted|there is no key ([\w.]+\w)"
)
_INNERMOST = re.compile(r"Errors: - (?!Does not validate)(.*?)(?: - Expected a| Given value|$)")


class StrictParser(LightningArgumentParser):
    """Refuses unknown and shortened keys with one sentence."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """BadOption instead of a page of usage."""
        message = " ".join(message.split())
        within = list(_WITHIN.finditer(message))
        path = [part[1] or part[2] for part in within]
        if unknown := _UNKNOWN.search(message):
            name = next(part for part in unknown.groups() if part)
            key = ".".join([*path, name])
            raise BadOption(f"there is no key {key}{self._nearest(key)}.") from ex
        if within:
            reason = innermost(message[within[-1].end() :])
            raise BadOption(f"{'.'.join(path)} does not fit: {reason}.") from ex
        raise BadOption(f"the config cannot be used: {message}") from ex

    def keys(self) -> list[str]:
        """Every key that a config of any subcommand may have, those within groups left out too."""
        subcommands = getattr(self, "_subcommands_action", None)
        parsers = [self] if subcommands is None else list(subcommands.choices.values())
        actions = [action for parser in parsers for action in parser._actions]
        keys = {action.dest for action in actions if "help" not in action.dest.split(".")}
        for action in actions:
            if "help" in action.dest.split("."):
                continue
            keys.update(_fields(action.dest, getattr(action, "_typehint", None)))
        return sorted(keys)

    def _nearest(self, key: str) -> str:
        close = difflib.get_close_matches(key, self.keys(), n=1, cutoff=0.6)
        return f"; did you mean {close[0]}" if close else "; `asr fit --help` lists them"


def innermost(message: str) -> str:
    """The reason within what jsonargparse says of a value that may be of several types."""
    message = " ".join(message.split())
    found = _INNERMOST.search(message)
    return (found[1] if found else message).strip(" .")


def _fields(key: str, kind: Any) -> Iterator[str]:
    """The keys within a group that may be left out as a whole: a dataclass or None."""
    for option in get_args(kind):
        if dataclasses.is_dataclass(option) and isinstance(option, type):
            hints = get_type_hints(option)
            for field in dataclasses.fields(option):
                yield f"{key}.{field.name}"
                yield from _fields(f"{key}.{field.name}", hints[field.name])
