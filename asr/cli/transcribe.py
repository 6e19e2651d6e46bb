"""`asr transcribe PATH…`: files and folders to text."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from asr.cli.options import (
    WEIGHTS,
    BundleOption,
    DeviceOption,
    HotwordsOption,
    LmOption,
    reading,
    takes,
)
from asr.cli.output import one_line
from asr.cli.progress import bar
from asr.errors import AsrError, BadOption
from asr.files import write_atomically


@takes("decoder", "nbest", "beam_size", *WEIGHTS)
def transcribe(
    paths: Annotated[list[str], typer.Argument(help="Recordings, or folders of them.")],
    format: Annotated[str, typer.Option(help="txt (or text), json, srt, vtt, tsv or ctm.")] = "txt",
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
    from asr.batch import list_inputs, output_paths, transcribe_files
    from asr.transcript import file_suffix, write

    ending = file_suffix(format)  # refuses an unknown format before any work
    if "" in paths:
        raise BadOption("a path is empty: name a file, or a folder (. is the one you are in).")
    inputs = list_inputs(paths)
    targets = output_paths(inputs, output, format) if output else []
    alone = len(inputs) == len(paths) == 1 and not Path(paths[0]).is_dir()
    if ending in (".srt", ".vtt", ".tsv") and not (targets or alone):
        raise BadOption(f"{format} is a file for each recording: name a folder with --output.")
    options = reading(hotwords, lm, **values)
    if options.get("nbest", 1) > 1 and ending != ".json":
        raise BadOption(f"{format} has no place for several readings: add --format json.")
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(bundle, device, lm)
    failed = 0
    with bar("transcribing", wanted=bool(targets) or not sys.stdout.isatty()) as progress:
        results = transcribe_files(recognizer, inputs, track=track, **options)
        for done, result in enumerate(results, start=1):
            if result.transcript is None:
                failed += 1
                sys.stderr.write(f"asr: {one_line(str(result.error))}\n")
            elif targets:
                try:
                    text = write(result.transcript, format, result.input.path.stem)
                    write_atomically(targets[done - 1], text)
                except AsrError as error:
                    failed += 1
                    sys.stderr.write(f"asr: {one_line(str(error))}\n")
            elif alone or ending == ".ctm":
                sys.stdout.write(write(result.transcript, format, result.input.path.stem))
            elif ending == ".json":
                line = {"file": str(result.input.path), **result.transcript.to_dict()}
                named = line["file"].isprintable()  # a name may not be valid text
                sys.stdout.write(json.dumps(line, ensure_ascii=not named) + "\n")
            else:
                name = one_line(str(result.input.path))
                sys.stdout.write(f"{name}\t{write(result.transcript, format)}")
            sys.stdout.flush()
            progress(done, len(inputs))
    if targets:
        sys.stderr.write(f"asr: {len(inputs) - failed} of {len(inputs)} written to {output}\n")
    if inputs.passed_over:
        files = "file" if inputs.passed_over == 1 else "files"
        sys.stderr.write(f"asr: {inputs.passed_over} other {files} passed over\n")
    if failed:
        raise typer.Exit(2 if failed == len(inputs) else 1)
