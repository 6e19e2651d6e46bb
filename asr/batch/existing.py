"""What an output folder has before a job begins: what is done, and what no job wrote."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asr.batch.folder_job import JSONL, FolderJob
from asr.batch.inputs import Input, Place, version_of
from asr.batch.journal import Journal
from asr.batch.stores import Address
from asr.batch.workplace import ERRORS, RESULTS, journals, list_path, remove, windows_path
from asr.counting import counted
from asr.errors import BadOption
from asr.transcript import FORMATS, file_suffix

NO_JOBS = "is there already, and no job wrote it"


@contextmanager
def known_journals(job: FolderJob, journal: Journal) -> Iterator[list[Journal]]:
    """The job's journal and those of other divisions of the output folder.

    A job of the whole takes the others over.
    """
    found = journals(job.output).items()
    others = {shard: path for shard, path in found if shard.count != job.shard.count}
    if job.shard.count == 1:
        for shard, path in others.items():
            journal.absorb(path)
            remove(path)
            shutil.rmtree(windows_path(job.output, shard), ignore_errors=True)
            for name in (RESULTS, ERRORS):
                remove(list_path(job.output, name, shard))
        others = {}
    with ExitStack() as opened:
        known = [Journal(path, write=False) for path in others.values()]
        for other in known:
            opened.callback(other.close)
        yield [journal, *known]


def undone(job: FolderJob, inputs: Iterable[Input], known: Sequence[Journal]) -> Iterator[Input]:
    """The inputs of the job's part that no journal knows as done in this way, or whose output files
    are gone."""
    wanted = set(job.kinds)

    def is_done(item: Input, journal: Journal) -> bool:
        row = journal.find(item)
        return (
            row is not None
            and row.made == job.made
            and row.formats >= wanted
            and row.stem == os.fsencode(item.stem)
            and row.version == version_of(item)
            and all(path.exists() for path in job.files(item.stem))
        )

    for item in inputs:
        if job.overwrite or not any(is_done(item, journal) for journal in known):
            yield item


def refuse_replacing(job: FolderJob, inputs: Sequence[Input], known: Sequence[Journal]) -> None:
    """BadOption if a transcript would replace that of another recording, which still exists, or if
    something would be replaced that no job wrote."""
    if job.overwrite:
        return
    for journal in known:
        for item in inputs:
            other = journal.other(item)
            if other is not None and _exists(other):
                raise BadOption(
                    f"{job.output} has the transcript of {other} where that of {item.path} would "
                    "be: choose another folder, or add --overwrite."
                )
    others = [path for item in inputs for path in others_files(job, item, known)]
    if others := [*_others_lists(job, known), *others]:
        more = f", nor {counted(len(others) - 1, 'more file')}" if len(others) > 1 else ""
        raise BadOption(f"{others[0]} {NO_JOBS}{more}: choose another folder, or add --overwrite.")


def others_files(job: FolderJob, item: Input, known: Iterable[Journal]) -> Iterator[Path]:
    """Files that a transcript would replace and that no job wrote."""
    for ending, path in zip(job.endings, job.files(item.stem), strict=True):
        if os.path.isfile(path) and not any(one.wrote(item.stem, ending) for one in known):
            yield path


def _others_lists(job: FolderJob, known: Sequence[Journal]) -> Iterator[Path]:
    """Lists in the place of the job's that no job wrote."""
    if not any(journal.about() for journal in known):
        for name in (RESULTS, ERRORS):
            if os.path.exists(path := list_path(job.output, name, job.shard)):
                yield path
    if job.jsonl is None or job.full_list is None or not job.full_list.exists():
        return
    named = os.path.abspath(job.jsonl)
    for journal in known:
        # An older earshot did not note the path, but kept the lines.
        if journal.about().get(JSONL) == named or any(journal.lines("done", "full")):
            return
    yield job.full_list


def _exists(place: Place) -> bool:
    """Whether a recording still exists; a store that does not say so has it."""
    return isinstance(place, Address) or os.path.exists(place)


def outdated(todo: Iterable[Input], job: FolderJob, journal: Journal) -> Iterator[Path]:
    """Transcripts of recordings that have changed since, in formats that the job does not write."""
    endings = {file_suffix(name).removeprefix(".") for name in FORMATS} - set(job.endings)
    for item in todo:
        if (row := journal.find(item)) is None:
            continue
        others = [
            path
            for ending in sorted(endings)
            if os.path.isfile(path := job.output / f"{item.stem}.{ending}")
            and journal.wrote(item.stem, ending)
        ]
        if others and row.version != version_of(item):  # a store is asked for the version
            yield from others


def remove_renamed(todo: Iterable[Input], job: FolderJob, journal: Journal) -> None:
    """Removes transcripts of recordings whose files now keep the suffix, as those of `x.flac` do
    once there is an `x.wav`: else the output would hold them twice."""
    for item in todo:
        row = journal.find(item)
        if row is not None and item.stem == f"{os.fsdecode(row.stem)}{item.path.suffix}":
            for ending in row.formats - {JSONL}:
                remove(job.output / f"{os.fsdecode(row.stem)}.{ending}")
