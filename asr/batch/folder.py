"""The folder job: recordings -> files of transcripts, resumed wherever it was stopped."""

import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from asr.audio import PIECEWISE, Limits
from asr.batch.inputs import Input, Place, version_of
from asr.batch.journal import Journal, OutputLost
from asr.batch.outputs import json_line
from asr.batch.pipeline import Finish, Pipeline, Result, as_it_is
from asr.batch.shards import Shard
from asr.batch.stores import Address, Version
from asr.batch.tally import Tally, reason
from asr.batch.workplace import (
    ERRORS,
    HIDDEN,
    RESULTS,
    journals,
    list_path,
    part_path,
    remove,
    spool_path,
    windows_path,
)
from asr.errors import BadMachine, BadOption
from asr.files import readable, replacing, write_atomically
from asr.options import Selection
from asr.transcript import FORMATS, Layout, Transcript, file_suffix, write

if TYPE_CHECKING:
    from asr.batch.cluster import Cluster
    from asr.batch.crew import Crew
    from asr.options import Options
    from asr.runtime import Recognizer

Report: TypeAlias = Callable[[Tally, Result | None], None]
"""Called with each result, and without one some times a second."""
JSONL = "jsonl"
"""Stands among the formats for the line of `--jsonl`, and in `about` for the path of its file."""
NO_JOBS = "is there already, and no job wrote it"
_LOST = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENODEV}
"""What is no fault of one file: the next would fail too."""
_TICK_S = 0.25
_COMMIT_S = 1.0
"""How much finished work a kill may cost, besides what is at work."""
_GRACE_S = 6.0
"""How long a job that is stopped may go on with what is decoded."""


@dataclass(frozen=True, kw_only=True)
class FolderJob:
    """What a job is asked to do."""

    output: Path
    formats: Sequence[str]
    layout: Layout
    options: "Options"
    """Of `Recognizer.options`."""
    made: str
    """A digest of what decides a transcript, besides the recording (`made_by`)."""
    selection: Selection = field(default_factory=Selection)
    limits: Limits = PIECEWISE
    jsonl: Path | None = None
    """File of all transcripts, a line for each recording."""
    shard: Shard = field(default_factory=Shard)
    overwrite: bool = False
    """Do all, also what is done."""
    fail_fast: bool = False
    """Stop at the first recording that fails."""
    jobs: int | None = None
    """The most decoding processes."""
    cluster: "Cluster | None" = None
    """Where it runs; else here."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Kept in the journal."""

    @property
    def endings(self) -> list[str]:
        """Of the output files, without the dot."""
        return [file_suffix(name).removeprefix(".") for name in self.formats]

    @property
    def kinds(self) -> list[str]:
        """The formats by the endings of their files, and the line of `jsonl` if it is wanted."""
        return [*self.endings, *([JSONL] if self.jsonl else [])]

    def files(self, stem: str) -> list[Path]:
        """The output files of a recording."""
        return [self.output / f"{stem}{file_suffix(name)}" for name in self.formats]


def made_by(
    recognizer: "Recognizer", options: "Options", layout: Layout, selection: Selection
) -> str:
    """A digest of what decides a transcript's files, besides the recording and their formats."""
    from asr.bundle.bundle import checksum  # which decoding processes need not load

    info, lm = recognizer.bundle.info, recognizer.lm
    own = lm is None or lm == recognizer.bundle.lm
    values = {
        "bundle": dict(info.checksums),
        "calibration": info.calibration,
        "lm": None if own or lm is None else checksum(lm),
        "options": options.values(),
        "layout": asdict(layout),
        "selection": asdict(selection),
    }
    text = json.dumps(values, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


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
    tally.outdated = list(_outdated(todo, job, journal))
    _remove_renamed(todo, job, journal)
    tally.before = tally.kept = tally.total - len(todo)
    journal.begin(dict(job.about))
    journal.expect(todo, job.endings)
    for item in todo:
        tally.expect(item.path, item.known)
    collect(job, recognizer, todo, journal, tally, report, stop)


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
        more = f", and so are {len(others) - 1:,} more files" if len(others) > 1 else ""
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
    if job.jsonl is None or not os.path.exists(path := _full_list(job, job.jsonl)):
        return
    named = os.path.abspath(job.jsonl)
    for journal in known:
        # An older earshot did not note the path, but kept the lines.
        if journal.about().get(JSONL) == named or any(journal.lines("done", "full")):
            return
    yield path


def _exists(place: Place) -> bool:
    """Whether a recording still exists; a store that does not say so has it."""
    return isinstance(place, Address) or place.exists()


def _outdated(todo: Iterable[Input], job: FolderJob, journal: Journal) -> Iterator[Path]:
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


def _remove_renamed(todo: Iterable[Input], job: FolderJob, journal: Journal) -> None:
    """Removes transcripts of recordings whose files now keep the suffix, as those of `x.flac` do
    once there is an `x.wav`: else the output would hold them twice."""
    for item in todo:
        row = journal.find(item)
        if row is not None and item.stem == f"{os.fsdecode(row.stem)}{item.path.suffix}":
            for ending in row.formats - {JSONL}:
                remove(job.output / f"{os.fsdecode(row.stem)}.{ending}")


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
    try:
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


def _full_list(job: FolderJob, path: Path) -> Path:
    """The file of all transcripts of the job's part."""
    return path.with_name(f"{path.stem}{job.shard.suffix}{path.suffix}")


def _write_lists(job: FolderJob, journal: Journal) -> None:
    """results.jsonl, errors.jsonl and the file of all transcripts, each as the journal has it."""
    lists = [
        (list_path(job.output, RESULTS, job.shard), journal.lines("done")),
        (list_path(job.output, ERRORS, job.shard), journal.lines("failed")),
    ]
    if job.jsonl:
        lists.append((_full_list(job, job.jsonl), journal.lines("done", "full")))
    for path, lines in lists:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path, shared=False) as file:
                file.writelines(f"{line}\n".encode() for line in lines)
        except OSError as error:
            raise OutputLost(f"{path} cannot be written ({error.strerror})") from error
