"""Where an error arose, without its words: those may quote what a caller sent."""

import os
import traceback


def places(error: BaseException) -> str:
    """The traceback of an error and of those behind it, with the kind of each, not its message."""
    return "\n".join(_lines(error, set()))


def _lines(error: BaseException, seen: set[int]) -> list[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines: list[str] = []
    for other in (*getattr(error, "exceptions", ()), before):  # a group has several
        if other is not None and id(other) not in seen:
            lines += [*_lines(other, seen), "which led to:"]
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip().split("\n")
    return [*lines, "Traceback (most recent call last):", *frames, _kind(error)]


def _kind(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return f"{name}: {os.strerror(error.errno)}"
    return name
