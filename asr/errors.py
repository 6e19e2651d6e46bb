"""Errors meant for people: one sentence that says what is wrong, where, and what to do.

The library raises these; the command line prints their text and ends with an exit code, the
service answers with an HTTP status. Anything else that escapes is a fault of ours.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Self


class AsrError(Exception):
    """Base of every error that a user can mend.

    Args:
        sentence: what is wrong, where, and what to do.
        details: lines that follow it, such as the lines of a file that cannot be used.
    """

    def __init__(self, sentence: str = "", details: Sequence[str] = ()) -> None:
        super().__init__("\n".join([sentence, *details]))
        self.sentence = sentence
        self.details = tuple(details)

    def behind(self, place: str) -> Self:
        """The same error, whose sentence says first where it is."""
        error = copy(self)
        AsrError.__init__(error, f"{place}: {self.sentence}", self.details)
        return error


def in_brief(error: BaseException) -> str:
    """What a library's error says, which may be a page, in one line; else its kind."""
    said = " ".join(str(getattr(error, "message", "") or error).split())
    return said[:200].rstrip(".") or type(error).__name__


def ended(sentence: str) -> str:
    """A sentence that stands by itself, with its full stop, unless it ends with a question.

    Errors of a recording have none: they also stand in lists, behind a name or inside
    brackets.
    """
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."


def how_to_add(extra: str) -> str:
    """How an extra is installed: from the checkout, since PyPI's earshot is another project.

    `uv sync` alone would remove the extras that are there.
    """
    return f"`uv sync --inexact --extra {extra}` or `pip install '.[{extra}]'` in the checkout"


class BadAudio(AsrError):
    """What was given cannot be read as sound."""


class TooLong(AsrError):
    """The recording exceeds a limit on seconds or bytes."""


class BadOption(AsrError):
    """An option has a value that cannot be, or contradicts another.

    Args:
        option: its name, where the recording decides whether the value can be.
    """

    def __init__(
        self, sentence: str = "", details: Sequence[str] = (), option: str | None = None
    ) -> None:
        super().__init__(sentence, details)
        self.option = option


class BadData(AsrError):
    """A manifest or corpus cannot be trained on as it is."""


class BadMachine(AsrError):
    """The machine cannot do what is asked, whatever the input: a program or a library is missing or
    may not be run, or there is no memory or process left."""


class BadBundle(AsrError):
    """A bundle or checkpoint is missing, damaged, or of another version."""


@contextmanager
def installed() -> Iterator[None]:
    """A block that imports a library of every installation; BadMachine if that is broken."""
    try:
        yield
    except ImportError as error:
        raise BadMachine(
            f"the library {error.name or 'that reads sound'} cannot be loaded ({in_brief(error)}): "
            "install earshot anew, and see what `asr doctor` says"
        ) from error
