"""A progress bar on stderr, shown where a person watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(description: str, wanted: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Gives a function to be called with what is done and what there is in all.

    Args:
        wanted: false where results are printed to the same terminal: they show the progress.
    """
    if not wanted or not sys.stderr.isatty():
        yield lambda done, total: None  # noqa: ARG005
        return
    from rich.console import Console
    from rich.progress import Progress

    # Not redirected, as rich would do: results may be on their way to a file.
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(description)
        yield lambda done, total: progress.update(task, completed=done, total=total)
