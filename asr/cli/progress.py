"""Progress on stderr: a bar in a terminal, and for long jobs lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asr.counting import counted
from asr.durations import spoken

if TYPE_CHECKING:
    from asr.batch import Tally

_LINE_S = 30.0
"""Seconds between two lines."""


@contextmanager
def bar(description: str, wanted: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Returns a function to be called with the done and the total number of items.

    Args:
        wanted: false if results are printed to the same terminal, which show the progress.
    """
    if not wanted or not sys.stderr.isatty():
        yield lambda done, total: None  # noqa: ARG005
        return
    from rich.console import Console
    from rich.progress import Progress

    # rich must not redirect stdout: results may go to a file.
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(description)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def hours_of_audio() -> Iterator[Callable[["Tally"], None]]:
    """Returns a function that shows how far a folder job is: hours, speed and time left."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = BarColumn(bar_width=30), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("")
        yield lambda tally: progress.update(
            task,
            description=_how_far(tally),
            completed=tally.finished + tally.failed,
            total=tally.total,
        )


def _lines() -> Callable[["Tally"], None]:
    said, at = "", time.monotonic()

    def show(tally: "Tally") -> None:
        nonlocal said, at
        if time.monotonic() < at + _LINE_S:
            return
        at = time.monotonic()
        if said != (said := f"asr: {_how_far(tally)}\n"):  # where it waits for recordings
            sys.stderr.write(said)
            sys.stderr.flush()

    return show


def _how_far(tally: "Tally") -> str:
    text = f"{tally.finished + tally.failed:,} of {counted(tally.total, 'file')}"
    if tally.left is None:
        return text
    return (
        f"{text}, {spoken(tally.seconds)} of about {spoken(tally.expected)} of audio, "
        f"{tally.speed:.0f} times real time, {spoken(tally.left)} left"
    )
