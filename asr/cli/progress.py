"""A progress bar on stderr, shown in a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
