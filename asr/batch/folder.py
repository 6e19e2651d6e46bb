"""The folder job: recordings -> files of transcripts, resumed wherever it was stopped."""

import errno
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from asr.batch.existing import (
    known_journals,
    outdated,
    refuse_replacing,
    remove_renamed,
    undone,
)
from asr.batch.folder_job import FolderJob
from asr.batch.inputs import Input
from asr.batch.journal import Journal, OutputLost
from asr.batch.outputs import json_line
from asr.batch.pipeline import Finish, Pipeline, as_it_is
from asr.batch.stores import Version
from asr.batch.tally import Tally, reason
from asr.batch.work import Result
from asr.batch.workplace import (
    ERRORS,
    HIDDEN,
    RESULTS,
    list_path,
    part_path,
    remove,
    spool_path,
    windows_path,
)
from asr.errors import BadMachine, BadOption
from asr.files import readable, replacing, write_atomically
from asr.transcript import Transcript, write

if TYPE_CHECKING:
    from asr.batch.crew import Crew
    from asr.runtime import Recognizer

Report: TypeAlias = Callable[[Tally, Result | None], None]
"""Called with each result, and without one some times a second."""
_LOST = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENODEV}
"""What is no fault of one file: the next would fail too."""
_TICK_S = 0.25
_COMMIT_S = 1.0
"""How much finished work a kill may cost, besides what is at work."""
_GRACE_S = 6.0
"""How long a job that is stopped may go on with what is decoded."""


def run(
    job: FolderJob,
    recognizer: "Recognizer",
    inputs: Sequence[Input],
    journal: Journal,
    tally: Tally,
    report: Report,
    stop: threading.Event,
) -> None:
    """Transcribes what is not yet done, writes it, and lists results and errors in the output.

    A recording that fails stops nothing else. Once `stop` is set nothing more is read, what is
    decoded is transcribed for some seconds, and the same job goes on from there at another time.

    Args:
        inputs: of the job's part, with stems.
        journal: of `workplace`.
        tally: a new one; it says afterwards what came of the job, also where it is lost.
    Raises:
        BadOption: a transcript would replace that of another recording.
        OutputLost: the disk is full, read-only or gone; what is done is kept.
        BadMachine: recordings cannot be decoded here; what is done is kept.
    """
    tally.total = len(inputs)
    with known_journals(job, journal) as known:
        todo = list(undone(job, inputs, known))
        refuse_replacing(job, todo, known)
    tally.outdated = list(outdated(todo, job, journal))
    remove_renamed(todo, job, journal)
    tally.before = tally.kept = tally.total - len(todo)
    with _goes_on(journal, tally):
        journal.begin(dict(job.about))
        journal.expect(todo, job.endings)
    for item in todo:
        tally.expect(item.path, item.known)
    collect(job, recognizer, todo, journal, tally, report, stop)


def collect(
    job: FolderJob,
    recognizer: "Recognizer",
    inputs: Iterable[Input],
    journal: Journal,
    tally: Tally,
    report: Report,
    stop: threading.Event,
) -> None:
    """Transcribes inputs and writes what comes of it; see `run`."""
    with _goes_on(journal, tally):
        pipeline = _workers(job, recognizer, inputs)
        tally.clocks = pipeline.clocks
        try:
            with pipeline:
                _collect(job, pipeline, journal, tally, report, stop)
        finally:
            tally.abandoned = pipeline.is_at_work
        _keep(journal, tally)
        if not tally.stopped:
            shutil.rmtree(windows_path(job.output, job.shard), ignore_errors=True)
        _write_lists(job, journal)


@contextmanager
def _goes_on(journal: Journal, tally: Tally) -> Iterator[None]:
    """Keeps what is done where the output or the machine is lost, and says how the job goes on."""
    try:
        yield
    except (OutputLost, BadMachine) as error:
        with suppress(OutputLost):
            _keep(journal, tally)
        done = f"{tally.kept:,} of {tally.total:,} done"
        if isinstance(error, BadMachine):
            raise BadMachine(f"{error} ({done}; the same command goes on)") from error
        raise OutputLost(
            f"{error}: {done}; make room or mend the disk, and the same command goes on."
        ) from error


def _workers(
    job: FolderJob, recognizer: "Recognizer", inputs: Iterable[Input]
) -> "Pipeline | Crew":
    """What goes over the inputs, here or on a cluster, and writes what comes of them."""
    finish = partial(_save, job)
    if job.cluster is None:
        return pipeline(job, recognizer, inputs, finish, spool_path(job.output, job.shard))
    from asr.batch.crew import Crew  # which uses this module

    return Crew(job.cluster, job, inputs, finish)


def pipeline(
    job: FolderJob,
    recognizer: "Recognizer",
    inputs: Iterable[Input],
    finish: Finish = as_it_is,
    spool: Path | None = None,
) -> Pipeline:
    """The pipeline of a job; `finish` and `spool` as of `Pipeline`.

    What is known of a long recording is kept in the output folder, if that can be seen from here.
    """
    seen = (job.output / HIDDEN).is_dir()
    return Pipeline(
        recognizer,
        inputs,
        job.options,
        job.limits,
        job.selection,
        finish,
        job.jobs,
        partial(_kept, job) if seen else None,
        spool,
        partial(_show, job) if seen else None,
    )


def _keep(journal: Journal, tally: Tally) -> None:
    journal.commit()
    tally.kept = tally.finished


def _collect(
    job: FolderJob,
    pipeline: "Pipeline | Crew",
    journal: Journal,
    tally: Tally,
    report: Report,
    stop: threading.Event,
) -> None:
    deadline, committed = None, time.monotonic()
    while not pipeline.is_over:
        for _, result in pipeline.take(_TICK_S):
            _note(job, journal, result)
            tally.add(result)
            report(tally, result)
        now = time.monotonic()
        if now >= committed + _COMMIT_S:
            _keep(journal, tally)
            committed = now
        report(tally, None)
        if deadline is None and (stop.is_set() or (job.fail_fast and tally.failed)):
            pipeline.stop()
            deadline = now + _GRACE_S
        if deadline is not None and now > deadline:
            break
    tally.stopped = deadline is not None and tally.finished + tally.failed < tally.total


def _kept(job: FolderJob, item: Input, version: Version) -> Path:
    """Where the windows of a long recording are kept until it is done."""
    made = repr((item.key, version, asdict(job.selection)))
    folder = windows_path(job.output, job.shard) / hashlib.sha256(made.encode()).hexdigest()
    with suppress(OSError):  # then the job goes on without
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _show(job: FolderJob, item: Input, so_far: Transcript) -> None:
    """Writes what is known of a long recording beside the places of its files."""
    for format, path in zip(job.formats, job.files(item.stem), strict=True):
        with suppress(BadOption):  # whoever writes the whole says so
            content = write(so_far, format, item.path.stem, job.layout)
            write_atomically(part_path(path), content, shared=False)


def _save(job: FolderJob, result: Result) -> Result:
    """Writes the files of a result; one that cannot be written fails."""
    for path in job.files(result.input.stem):
        remove(part_path(path))
    if result.transcript is None:
        return result
    name = result.input.path.stem
    try:
        for format, path in zip(job.formats, job.files(result.input.stem), strict=True):
            # Nobody else writes there: a kill leaves at most one partial file, which the next run
            # replaces.
            write_atomically(path, write(result.transcript, format, name, job.layout), shared=False)
    except BadOption as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in _LOST:
            raise OutputLost(f"{job.output} cannot be written ({cause.strerror})") from error
        return replace(result, transcript=None, error=str(error))
    return result


def _note(job: FolderJob, journal: Journal, result: Result) -> None:
    item = result.input
    if result.transcript is None:
        about = {"error": readable(str(result.error)), "reason": readable(reason(result))}
        journal.failed(item, json_line(item.path, about))
        return
    assert result.version is not None  # it was read
    line = json_line(item.path, _summary(job, item.stem, result.transcript))
    full = json_line(item.path, result.transcript.to_dict()) if job.jsonl else None
    journal.done(item, result.version, job.made, ",".join(job.kinds), line, full)


def _summary(job: FolderJob, stem: str, transcript: Transcript) -> dict[str, Any]:
    values = transcript.to_dict()
    outputs = [readable(os.path.relpath(path, job.output)) for path in job.files(stem)]
    kept = ("text", "confidence", "duration", "no_speech")
    return {"outputs": outputs, **{key: values[key] for key in kept}}


def _write_lists(job: FolderJob, journal: Journal) -> None:
    """results.jsonl, errors.jsonl and the file of all transcripts, each as the journal has it."""
    lists = [
        (list_path(job.output, RESULTS, job.shard), journal.lines("done")),
        (list_path(job.output, ERRORS, job.shard), journal.lines("failed")),
    ]
    if job.full_list is not None:
        lists.append((job.full_list, journal.lines("done", "full")))
    for path, lines in lists:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path, shared=False) as file:
                file.writelines(f"{line}\n".encode() for line in lines)
        except OSError as error:
            raise OutputLost(f"{path} cannot be written ({error.strerror})") from error
