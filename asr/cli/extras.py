"""Extras that a command needs beyond the plain installation."""

from collections.abc import Iterator
from contextlib import contextmanager

from asr.errors import BadOption, how_to_add


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turns the ImportError of a missing extra into a sentence that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] in ("asr", "service"):
            raise
        raise BadOption(
            f"this command needs the extra `{extra}` ({error.name} is not installed): "
            f"install it with {how_to_add(extra)}."
        ) from error
