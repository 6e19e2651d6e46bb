"""What the arguments of `asr fit` say, or the configs that they name, before they are parsed."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

_LONG = {"-c": "--config"}
UNNAMED = "runs/unnamed"
"""The folder of a run that was given none."""


def given(arguments: Sequence[str], key: str, default: str) -> str:
    """The value of a key; the last one counts."""
    found: Any = None
    for name, value in pairs(arguments):
        if name == f"--{key}":
            found = value
        elif name == "--config":
            # The parser says what fails.
            with suppress(OSError, UnicodeDecodeError, yaml.YAMLError):
                config = yaml.safe_load(Path(value).read_text(encoding="utf-8"))
                found = _within(config, key) or found
    return str(found or default)


def pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each argument by its long name, with its value: what follows it, or stands behind its `=`."""
    for argument, following in pairwise([*arguments, ""]):
        name, given, value = argument.partition("=")
        yield _LONG.get(name, name), value if given else following


def _within(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config
