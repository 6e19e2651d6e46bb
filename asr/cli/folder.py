"""What `asr transcribe --output` does: runs a folder job, shows how far it is, sums it up."""

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

import typer

from asr.cli.output import one_line
from asr.cli.progress import hours_of_audio
from asr.counting import counted
from asr.durations import spoken
from asr.errors import BadMachine, BadOption
from asr.files import check_writable

if TYPE_CHECKING:
    from asr.batch import FolderJob, Inputs, Result, Tally
    from asr.runtime import Recognizer

Load: TypeAlias = "Callable[[], Recognizer]"
NAMED = 5
"""The most recordings or suffixes that are named."""
_LONGEST_SUFFIX = 12


def run_job(
    look: "Callable[[], Inputs]",
    load: Load,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    watched: bool = False,
) -> None:
    """Tries and locks the output, transcribes, and sums up.

    Args:
        look: lists the inputs.
        options: those of `Recognizer.transcribe` that were given.
        settings: fields of `FolderJob`, which has the rest from the recogniser.
        watched: go on with what arrives.

    Raises:
        typer.Exit: unless everything is done.
    """
    from asr.batch import OutputLost, Tally, run, watch, workplace

    inputs = planned(look, settings)
    refuse_hopeless(inputs, watched)
    with signals() as stop, workplace(settings["output"], settings["shard"]) as journal:
        if settings["jsonl"] is not None:
            check_writable(settings["jsonl"])
        recognizer = load()
        job, tally = job_of(recognizer, options, settings), Tally()
        try:
            with hours_of_audio() as show:
                report = _reporting(show)
                if watched:
                    find = partial(planned, look, settings)
                    watch(job, recognizer, find, journal, tally, report, stop)
                else:
                    run(job, recognizer, inputs, journal, tally, report, stop)
        except OutputLost as error:
            tell(str(error))
            _leave(tally, 1 if tally.kept else 2)
        except BadMachine as error:
            tell(str(error))
            _leave(tally, 1 if tally.done else 2)
    _sum_up(job, tally)
    tell_passed_over(inputs)
    code = 0
    if tally.failed or tally.stopped:
        code = 1 if tally.finished or tally.stopped else 2
    _leave(tally, code)


def refuse_hopeless(inputs: "Inputs", watched: bool = False) -> None:
    """Ends the command where nothing can be read, before anything is loaded or written.

    Args:
        watched: something may come where there is nothing yet.
    """
    hopeless = [item for item in inputs if item.problem and not (watched and item.is_empty)]
    if watched or len(hopeless) == len(inputs):
        for item in hopeless:
            tell(str(item.problem))
        if inputs and len(hopeless) == len(inputs):
            tell_passed_over(inputs)
            raise typer.Exit(2)


def planned(look: "Callable[[], Inputs]", settings: Mapping[str, Any]) -> "Inputs":
    """The recordings of the job's part with their output files, which are no input's."""
    from asr.batch import output_stems, results, spare

    inputs = look()
    output, jsonl = settings["output"], settings["jsonl"]
    stems = output_stems(inputs, output, settings["formats"])
    spare(inputs, [jsonl] if jsonl else [])
    if jsonl is not None and jsonl.is_dir():
        raise BadOption(f"--jsonl {jsonl} is a folder: name a file.")
    own = {os.path.abspath(path) for path in results(output, stems)}
    if jsonl is not None:
        if os.path.abspath(jsonl) in own:
            raise BadOption(f"--jsonl {jsonl} is a file of the job's own: give it another name.")
        own.add(os.path.abspath(jsonl))
    inputs.others -= own
    inputs.plan(stems, settings["shard"].holds)
    return inputs


def show_status(output: Path) -> None:
    """Prints what is missing in an output folder, and says which command does it.

    Raises:
        typer.Exit: something is missing.
    """
    from asr.batch import status

    parts = status(output)
    for part in parts:
        for path, reason in part.missing:
            sys.stdout.write(f"{one_line(str(path))}" + (f"\t{one_line(reason)}" if reason else ""))
            sys.stdout.write("\n")
        name = "" if part.shard.count == 1 else f"part {part.shard.index}/{part.shard.count}: "
        if part.counts is None:
            tell(f"{name}not begun")
        else:
            done, failed, waiting = part.counts.done, part.counts.failed, part.counts.waiting
            tell(f"{name}{done:,} done, {failed:,} failed, {waiting:,} not yet done")
    missing = [part for part in parts if not part.is_done]
    for part in missing:
        sys.stderr.write(f"{part.command}\n")
    if missing:
        raise typer.Exit(1)


def job_of(
    recognizer: "Recognizer", options: Mapping[str, Any], settings: Mapping[str, Any]
) -> "FolderJob":
    from asr.batch import FolderJob, made_by
    from asr.batch.folder_job import JSONL

    chosen = recognizer.options(**options)
    about = {"command": json.dumps(sys.argv[1:]), "folder": os.getcwd()}
    if settings["jsonl"] is not None:
        about[JSONL] = os.path.abspath(settings["jsonl"])
    return FolderJob(
        **settings,
        options=chosen,
        made=made_by(recognizer, chosen, settings["layout"], settings["selection"]),
        about=about,
    )


def _leave(tally: "Tally", code: int) -> None:
    """Ends the command unless all is well."""
    if tally.abandoned:  # else Python would wait for threads in the middle of an hour of audio
        sys.stderr.flush()
        os._exit(code)
    if code:
        raise typer.Exit(code)


def _sum_up(job: "FolderJob", tally: "Tally") -> None:
    """Says what was done, what failed and why, and how fast it went."""
    speed = ""
    if tally.done:
        speed = (
            f": {spoken(tally.seconds - tally.skipped)} of audio in {spoken(tally.elapsed)}, "
            f"{tally.speed:.0f} times real time"
        )
        if tally.skipped:
            speed += f"; {spoken(tally.skipped)} more had been read by an earlier run"
    if job.shard.count > 1 and not tally.total:
        part = f"{job.shard.index}/{job.shard.count}"
        tell(f"no recording is in part {part}, so there was nothing to do")
    else:
        tell(f"{tally.finished:,} of {tally.total:,} written to {job.output}{speed}")
    for path in tally.outdated[:NAMED]:
        tell(f"{path} is of a recording that has changed since: add its format, or delete it")
    if (more := len(tally.outdated) - NAMED) > 0:
        tell(f"so {'is' if more == 1 else 'are'} {counted(more, 'other file')}")
    before = tally.before, "of them by an earlier run"
    for count, what in (before, (tally.silent, "without speech")):
        if count:
            tell(f"{count:,} {what}")
    if tally.failed:
        reasons = "; ".join(f"{why} ({count:,})" for why, count in tally.reasons.most_common())
        tell(f"{tally.failed:,} failed: {reasons}")
    if tally.stopped:
        tell(f"{tally.finished:,} of {tally.total:,} done; the same command goes on")


def tell_passed_over(inputs: "Inputs") -> None:
    """Says how many files of the folders were not read, and of what kinds."""
    for count, noun, what in (
        (inputs.passed_over, "other file", f"passed over ({_kinds(inputs.others)})"),
        (inputs.excluded, "recording", "left out"),
    ):
        if count:
            tell(f"{counted(count, noun)} {what}")


def _kinds(others: "Iterable[str]") -> str:
    """The suffixes of files by how many have them, such as `.txt 6, .jpg 3, without suffix 1`."""
    counts = Counter(Path(name).suffix.lower() for name in others)
    none = counts.pop("", 0)
    short = [one for one in counts.items() if len(one[0]) <= _LONGEST_SUFFIX]
    shown = sorted(short, key=lambda one: (-one[1], one[0]))[:NAMED]
    rest = counts.total() - sum(count for _, count in shown)
    shown += [("without suffix", none), ("of other kinds", rest)]
    return ", ".join(f"{kind} {count:,}" for kind, count in shown if count)


def tell(sentence: str) -> None:
    """A line on stderr."""
    sys.stderr.write(f"asr: {one_line(sentence)}\n")


@contextmanager
def signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one ends the process as ever."""
    stop = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may have handlers
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reporting(show: "Callable[[Tally], None]") -> "Callable[[Tally, Result | None], None]":
    def report(tally: "Tally", result: "Result | None") -> None:
        if result is not None and result.error is not None:
            tell(result.error)
        show(tally)

    return report
