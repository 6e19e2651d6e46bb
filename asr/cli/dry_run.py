"""What `asr transcribe --dry-run` does: says what would be transcribed, and how long it takes."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import typer

from asr.cli.folder import NAMED, Load, job_of, planned, tell, tell_passed_over
from asr.cli.output import hushed, one_line
from asr.counting import counted
from asr.durations import spoken
from asr.errors import BadAudio
from asr.options import Selection

if TYPE_CHECKING:
    from asr.batch import Input, Inputs
    from asr.runtime import Recognizer

_TRIED = 40
_TRIED_AUDIO_S = 30.0
_TRIED_S = 5.0
"""A dry run tries so many recordings, so much of each, for so many seconds at most."""


def foretell(
    look: "Callable[[], Inputs]",
    load: "Load | None" = None,
    options: Mapping[str, Any] = MappingProxyType({}),
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Prints the recordings that would be transcribed, and says how long they last.

    With what loads a recogniser it also says how long the work takes.
    """
    from asr.audio import read_header
    from asr.batch import Address

    inputs = planned(look, settings) if settings else look()
    left: Sequence[Input] = inputs
    recognizer = None
    if load is not None:
        recognizer = load()
        left = _undone(inputs, recognizer, options, settings)
    lengths: dict[Input, float] = {}
    remote = 0
    for item in left:
        if (problem := item.problem or _unopenable(item)) is not None:
            tell(problem)
            continue
        if isinstance(item.path, Address):
            remote += 1
        else:
            with hushed():
                lengths[item] = read_header(item.path).seconds
        sys.stdout.write(f"{one_line(str(item.path))}\n")
    seconds = sum(lengths.values())
    takes = ""
    if recognizer is not None and (
        speed := _speed(recognizer, options, settings["selection"], list(lengths))
    ):
        takes = f", some {spoken(max(1.0, seconds / speed))} of work here"
    said = f"{counted(len(lengths), 'recording')}, {spoken(seconds)} by their headers{takes}"
    if remote:
        unread = f"{counted(remote, 'recording')} of unknown length in stores"
        said = f"{said}, and {unread}" if lengths else unread
    tell(f"{said}; nothing was written")
    _tell_mute([item for item, length in lengths.items() if not length])
    if len(left) < len(inputs):
        tell(f"{counted(len(inputs) - len(left), 'recording')} done already")
    tell_passed_over(inputs)
    if not (lengths or remote) and len(left) == len(inputs):
        raise typer.Exit(2)


def _unopenable(item: "Input") -> str | None:
    """Why a file on a disk cannot be opened, such as a link to nothing or a pipe."""
    from asr.audio import check_opens
    from asr.batch import Address

    if isinstance(item.path, Address):
        return None
    try:
        check_opens(item.path)
    except BadAudio as error:
        return str(error)
    return None


def _tell_mute(inputs: "Sequence[Input]") -> None:
    """Names the recordings whose headers tell no length."""
    if inputs:
        names = ", ".join(str(item.path) for item in inputs[:NAMED])
        more = f" and {len(inputs) - NAMED:,} more" * (len(inputs) > NAMED)
        what = "a header that tells" if len(inputs) == 1 else "headers that tell"
        tell(
            f"{len(inputs):,} of them {'has' if len(inputs) == 1 else 'have'} {what} no length, as "
            f"of empty, broken or unfinished files: {names}{more}; only headers are read"
        )


def _speed(
    recognizer: "Recognizer",
    options: Mapping[str, Any],
    selection: Selection,
    inputs: "Sequence[Input]",
) -> float:
    """Seconds of audio per second, tried on some recordings; 0 if none of them can be read."""
    from asr.batch import transcribe_files

    shorter = replace(selection, duration=min(selection.duration, _TRIED_AUDIO_S))
    some = inputs[:: len(inputs) // _TRIED + 1]
    with closing(transcribe_files(recognizer, some, selection=shorter, **options)) as results:
        next(results, None)  # processes have started and compiled code is loaded
        began, seconds = time.monotonic(), 0.0
        for result in results:
            seconds += result.transcript.duration if result.transcript is not None else 0.0
            if time.monotonic() > began + _TRIED_S:
                break
    return seconds / (time.monotonic() - began)


def _undone(
    inputs: "Inputs",
    recognizer: "Recognizer",
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> "Sequence[Input]":
    from asr.batch import Journal, journals, undone
    from asr.batch.existing import refuse_replacing

    found = journals(settings["output"])
    known = [Journal(path, write=False) for path in found.values()]
    job = job_of(recognizer, options, settings)
    try:
        left = list(undone(job, inputs, known))
        refuse_replacing(job, left, known)
        return left
    finally:
        for journal in known:
            journal.close()
