"""Errors meant for people: one sentence that says what is wrong, where, and what to do.

The library raises these; the command line prints their text and ends with an exit code, the
service answers with an HTTP status. Anything else that escapes is a fault of ours.
"""


class AsrError(Exception):
    """Base of every error that a user can mend."""


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
