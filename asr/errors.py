"""Errors meant for people: one sentence that says what is wrong, where, and what to do.

The library raises these; the command line prints their text and ends with an exit code, the
service answers with an HTTP status. Anything else that escapes is a fault of ours.
"""

from collections.abc import Sequence


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


def in_brief(error: BaseException) -> str:
    """What a library's error says, which may be a page, in one line; else its kind."""
    said = " ".join(str(getattr(error, "message", "") or error).split())
    return said[:200].rstrip(".") or type(error).__name__


class BadAudio(AsrError):
    """What was given cannot be read as sound."""


class TooLong(AsrError):
    """The recording exceeds a limit on seconds or bytes."""


class BadOption(AsrError):
    """An option has a value that cannot be, or contradicts another."""


class BadData(AsrError):
    """A manifest or corpus cannot be trained on as it is."""


class BadBundle(AsrError):
    """A bundle or checkpoint is missing, damaged, or of another version."""
