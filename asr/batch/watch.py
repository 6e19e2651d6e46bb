"""A job that goes on: what arrives in a folder is transcribed once it has stopped growing."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from asr.batch.existing import NO_JOBS, known_journals, others_files, undone
from asr.batch.folder import Report, collect
from asr.batch.folder_job import FolderJob
from asr.batch.inputs import Input, Inputs, Place, version_of
from asr.batch.journal import Journal
from asr.batch.stores import Version
from asr.batch.tally import Tally

if TYPE_CHECKING:
    from asr.runtime import Recognizer

_SETTLED_S = 5.0
"""A file has arrived when it is the same as so many seconds ago."""


def watch(
    job: FolderJob,
    recognizer: "Recognizer",
    look: Callable[[], Inputs],
    journal: Journal,
    tally: Tally,
    report: Report,
    stop: threading.Event,
) -> None:
    """As `run`, with what `look` finds from time to time, until `stop` is set.

    Args:
        look: lists the inputs of the job's part, with stems.
    """
    with known_journals(job, journal) as known:
        journal.begin(dict(job.about))

        def arrivals() -> Iterator[Input]:
            for item in undone(job, settled(look, stop), known):
                if not job.overwrite and (other := next(others_files(job, item, known), None)):
                    why = f"{other} {NO_JOBS}: move it, or add --overwrite"
                    item = replace(item, problem=why)
                else:
                    journal.expect([item], job.endings)
                tally.total += 1
                tally.expect(item.path, item.known)
                yield item

        collect(job, recognizer, arrivals(), journal, tally, report, stop)


def settled(
    look: Callable[[], Iterable[Input]], stop: threading.Event, pause_s: float = _SETTLED_S
) -> Iterator[Input]:
    """Each version of a file once, when two looks have seen it, until `stop` is set."""
    taken: dict[Place, Version] = {}
    before: dict[Place, Version] = {}
    while not stop.is_set():
        now: dict[Place, Version] = {}
        for item in look():
            version = None if item.problem else version_of(item)
            if version is None:
                continue
            now[item.path] = version
            if before.get(item.path) == version != taken.get(item.path):
                taken[item.path] = version
                yield item
        before = now
        stop.wait(pause_s)
