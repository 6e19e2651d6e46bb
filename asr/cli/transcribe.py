"""`asr transcribe PATH…`: files and folders to text."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli.options import (
    WEIGHTS,
    BundleOption,
    DeviceOption,
    HotwordsOption,
    LmOption,
    laid_out,
    reading,
    takes,
)
from asr.cli.output import one_line
from asr.cli.progress import bar
from asr.errors import AsrError, BadOption
from asr.files import write_atomically
from asr.transcript import LAYOUT, Layout

if TYPE_CHECKING:
    from asr.batch import Inputs


@takes("decoder", "nbest", "beam_size", *WEIGHTS)
@takes(*LAYOUT, of=Layout)
def transcribe(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Recordings, folders of them, or quoted patterns such as 'in/**/*.flac'; - is a "
            "list of paths on standard input."
        ),
    ] = None,
    files_from: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="List of recordings, a path on each line."),
    ] = None,
    nul: Annotated[
        bool,
        typer.Option("-0", help="A zero byte ends each path of a list (find -print0)."),
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave out files or folders of that name or path."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first recordings.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and how long it lasts.")
    ] = False,
    format: Annotated[
        str,
        typer.Option(
            help="txt (or text), json, srt, vtt, tsv, ctm, textgrid or eaf; several with commas; "
            "all."
        ),
    ] = "txt",
    output: Annotated[
        Path | None, typer.Option(help="Folder for one file per recording; else stdout.")
    ] = None,
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    lm: LmOption = None,
    hotwords: HotwordsOption = None,
    track: Annotated[
        int | None,
        typer.Option(
            min=1, help="Audio track of films, from 1; else the one marked as the default."
        ),
    ] = None,
    **values: Any,
) -> None:
    """Transcribe recordings.

    For one recording only its transcript is printed; for several one line each, with the file in
    front (txt) or under `file` (json). Exit code 1: some could not be read; 2: none could.
    """
    from asr.batch import formats_of, output_stems, transcribe_files
    from asr.transcript import file_suffix, write

    formats = formats_of(format)  # refuses an unknown one before any work
    inputs = _listed(paths or [], files_from or [], nul, exclude or []).first(limit)
    stems = output_stems(inputs, output, formats) if output else []
    alone = len(inputs) == 1 and [Path(path) for path in paths or []] == [inputs[0].path]
    endings = [file_suffix(name) for name in formats]
    if not output:
        _check_printed(formats, alone, bool(values["timestamps"]))
    layout = laid_out(formats, values)
    options = reading(hotwords, lm, **values)
    if options.get("nbest", 1) > 1 and ".json" not in endings:
        raise BadOption(f"{formats[0]} has no place for several readings: add --format json.")
    if dry_run:
        _foretell(inputs)
        return
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(bundle, device, lm)
    failed = 0
    with bar("transcribing", wanted=bool(output) or not sys.stdout.isatty()) as progress:
        results = transcribe_files(recognizer, inputs, track=track, **options)
        for done, result in enumerate(results, start=1):
            if result.transcript is None:
                failed += 1
                sys.stderr.write(f"asr: {one_line(str(result.error))}\n")
            elif output:
                try:
                    for name, ending in zip(formats, endings, strict=True):
                        text = write(result.transcript, name, result.input.path.stem, layout)
                        write_atomically(output / f"{stems[done - 1]}{ending}", text)
                except AsrError as error:
                    failed += 1
                    sys.stderr.write(f"asr: {one_line(str(error))}\n")
            elif alone or endings == [".ctm"]:
                text = write(result.transcript, formats[0], result.input.path.stem, layout)
                sys.stdout.write(text)
            elif endings == [".json"]:
                line = {"file": str(result.input.path), **result.transcript.to_dict()}
                named = line["file"].isprintable()  # a name may not be valid text
                sys.stdout.write(json.dumps(line, ensure_ascii=not named) + "\n")
            else:
                name = one_line(str(result.input.path))
                sys.stdout.write(f"{name}\t{result.transcript.text}\n")
            sys.stdout.flush()
            progress(done, len(inputs))
    if output:
        sys.stderr.write(f"asr: {len(inputs) - failed} of {len(inputs)} written to {output}\n")
    _tell_passed_over(inputs)
    if failed:
        raise typer.Exit(2 if failed == len(inputs) else 1)


def _listed(paths: list[str], lists: list[str], nul: bool, exclude: list[str]) -> "Inputs":
    """The recordings that the arguments name."""
    from asr.batch import STDIN, list_inputs, read_list

    if "" in paths:
        raise BadOption("a path is empty: name a file, or a folder (. is the one you are in).")
    lists = [*lists, *(path for path in paths if path == STDIN)]
    if not (paths or lists):
        raise BadOption("no recordings are named: give files or folders, or a list (--files-from).")
    if nul and not lists:
        raise BadOption("-0 has no effect without a list: name one with --files-from.")
    listed = [path for name in lists for path in read_list(name, nul)]
    return list_inputs([path for path in paths if path != STDIN], listed, exclude)


def _check_printed(formats: list[str], alone: bool, timestamps: bool) -> None:
    """BadOption where stdout cannot hold the formats."""
    from asr.transcript import file_suffix

    if len(formats) > 1:
        raise BadOption("several formats are several files: name a folder with --output.")
    if file_suffix(formats[0]) in (".srt", ".vtt", ".tsv") and not alone:
        raise BadOption(f"{formats[0]} is a file for each recording: name a folder with --output.")
    if timestamps and not alone:
        raise BadOption("timestamps need a file for each recording: name a folder with --output.")


def _foretell(inputs: "Inputs") -> None:
    """Prints the recordings that would be read, and says how long they last."""
    from asr.audio import header_seconds

    seconds = 0.0
    for item in inputs:
        if item.problem is None:
            seconds += header_seconds(item.path)
            sys.stdout.write(f"{one_line(str(item.path))}\n")
        else:
            sys.stderr.write(f"asr: {one_line(item.problem)}\n")
    count = sum(item.problem is None for item in inputs)
    recordings = "recording" if count == 1 else "recordings"
    sys.stderr.write(
        f"asr: {count:,} {recordings}, {seconds / 3600:.2f} h by their headers; nothing was done\n"
    )
    _tell_passed_over(inputs)
    if not count:
        raise typer.Exit(2)


def _tell_passed_over(inputs: "Inputs") -> None:
    for count, what in ((inputs.passed_over, "passed over"), (inputs.excluded, "left out")):
        if count:
            noun = "other file" if what == "passed over" else "recording"
            sys.stderr.write(f"asr: {count} {noun}{'s' * (count != 1)} {what}\n")
