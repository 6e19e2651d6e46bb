"""`asr transcribe PATH…`: files and folders to text."""

import os
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli.extras import needs
from asr.cli.options import (
    WEIGHTS,
    BundleOption,
    DeviceOption,
    HotwordsOption,
    LmOption,
    laid_out,
    on_disk,
    reading,
    selected,
    takes,
)
from asr.cli.output import one_line
from asr.cli.progress import bar
from asr.errors import BadOption
from asr.options import Selection
from asr.transcript import LAYOUT, Growing, Layout, file_suffix

if TYPE_CHECKING:
    from asr.batch import Input, Inputs, Place
    from asr.batch.cluster import Cluster, Load
    from asr.runtime import Recognizer
    from asr.transcript import Transcript


@takes("decoder", "nbest", "beam_size", *WEIGHTS, "digits")
@takes("channels", "start", "duration", of=Selection)
@takes(*LAYOUT, of=Layout)
def transcribe(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Recordings, folders of them, or quoted patterns such as 'in/**/*.flac', also by "
            "their addresses (s3://, gs://, https://); - is a list of paths on standard input."
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
        bool,
        typer.Option(
            "--dry-run", help="Say what would be done, and how long it lasts by its headers."
        ),
    ] = False,
    format: Annotated[
        str,
        typer.Option(
            help="txt (or text), json, srt, vtt, tsv, ctm, textgrid or eaf; several with commas; "
            "all."
        ),
    ] = "txt",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            parser=on_disk,
            metavar="FOLDER",
            help="Folder for one file per recording; else stdout. The same command again does what "
            "is missing or has changed.",
        ),
    ] = None,
    jsonl: Annotated[
        Path | None,
        typer.Option(
            parser=on_disk,
            metavar="FILE",
            help="File of all transcripts of --output, a line of json for each.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do anew what is done, too.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first recording that fails.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Part I, from 0, of N parts; auto in a SLURM array, auto/N in an Indexed Job.",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with what arrives, once it has stopped growing.")
    ] = False,
    status: Annotated[
        Path | None,
        typer.Option(
            parser=on_disk,
            metavar="OUT",
            help="Only say what is missing in the output folder of a job, and how.",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Cores to use, or of each worker; else all.")
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help="local, or ray: workers on a cluster, or on this machine (extra `ray`)."),
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The Ray cluster to join; else RAY_ADDRESS, or one that ends with the command.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers of --engine ray; else all that find room.")
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
    plain: Annotated[
        bool, typer.Option("--plain", help="Words in lower case, without marks and digits.")
    ] = False,
    **values: Any,
) -> None:
    """Transcribe recordings.

    For one recording only its transcript is printed; for several one line each, with the file in
    front (txt) or under `file` (json). Exit code 1: some could not be read; 2: none could.
    """
    from asr.batch import Shard, formats_of, place_of
    from asr.cli.advice import advising
    from asr.cli.dry_run import foretell
    from asr.cli.folder import run_job, show_status

    if status is not None:
        _refuse_others(context, "status")
        show_status(status)
        return
    formats = formats_of(format)  # refuses an unknown one before any work
    part = Shard.parse(shard, os.environ) if shard else Shard()
    timestamps = bool(values["timestamps"])
    layout = laid_out(formats, values)
    mixes = values["channels"] is None
    selection = selected(track, values, layout)
    options = reading(hotwords, lm, written=False if plain else None, **values)
    if options.get("nbest", 1) > 1 and not (jsonl or ".json" in map(file_suffix, formats)):
        raise BadOption(f"{formats[0]} has no place for several readings: add --format json.")
    cluster = _cluster(
        engine, partial(_loaded, bundle, device, lm), device, ray_address, workers, jobs
    )
    load = partial(_loaded, bundle, device, lm, jobs)
    if cluster is not None:  # what runs here only lays down what is to be done
        load = partial(_loaded, bundle, "cpu", lm, 1)
    look = _listed(paths or [], files_from or [], nul, exclude or [], limit)
    if mixes:
        look = advising(look)
    if output is None:
        needing = {"--jsonl": jsonl, "--overwrite": overwrite, "--shard": shard, "--watch": watch}
        _check_whole({**needing, "--engine": cluster})
        inputs = look()
        alone = len(inputs) == 1 and [place_of(path) for path in paths or []] == [inputs[0].path]
        _check_printed(formats, alone, timestamps)
        printer = _Printer(formats[0], alone, layout)
        if dry_run:
            foretell(lambda: inputs)
        else:
            _print(inputs, load, printer, fail_fast, selection, options)
        return
    job = {
        "output": output,
        "formats": formats,
        "layout": layout,
        "selection": selection,
        "jsonl": jsonl,
        "shard": part,
        "overwrite": overwrite,
        "fail_fast": fail_fast,
        "jobs": jobs,
        "cluster": cluster,
    }
    if dry_run:
        foretell(look, load, options, job)
    else:
        run_job(look, load, options, job, watch)


def _refuse_others(context: typer.Context, name: str) -> None:
    """BadOption where anything else than this option is on the command line."""
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if source is not None and source.name == "COMMANDLINE" and parameter.name != name:
            given = max(parameter.opts, key=len) if parameter.opts[0][0] == "-" else "PATH"
            raise BadOption(
                f"{given} has no effect beside --{name}, which says what the last job in its "
                "folder has left: leave it out."
            )


def _loaded(bundle: Path | None, device: str, lm: Path | None, jobs: int | None) -> "Recognizer":
    """The recogniser; on a GPU the number of cores is that of decoding processes alone."""
    from asr.runtime import Recognizer

    if jobs is None or (device != "cpu" and Recognizer.load(bundle, device, lm).device != "cpu"):
        return Recognizer.load(bundle, device, lm)
    return Recognizer.load(bundle, "cpu", lm, threads=jobs)


def _cluster(
    engine: str,
    load: "Load",
    device: str,
    address: str | None,
    workers: int | None,
    jobs: int | None,
) -> "Cluster | None":
    """Where a job runs, if not here alone.

    Raises:
        BadOption: there is no such engine, it is not installed, or an option is of another.
    """
    if engine == "ray":
        with needs("ray"):
            from asr.batch.cluster import Cluster

            return Cluster(load, device, address, workers, jobs)
    if engine != "local":
        raise BadOption(f"engine {engine!r} is not known: choose local or ray.")
    for name, value in (("--ray-address", address), ("--workers", workers)):
        if value is not None:
            raise BadOption(f"{name} has no effect on the engine local: add --engine ray.")
    return None


def _print(
    inputs: "Inputs",
    load: "Callable[[], Recognizer]",
    printer: "_Printer",
    fail_fast: bool,
    selection: Selection,
    options: dict[str, Any],
) -> None:
    """Prints each transcript, in order."""
    from asr.batch import transcribe_files
    from asr.cli.folder import refuse_hopeless, tell, tell_passed_over

    refuse_hopeless(inputs)
    failed = 0
    recognizer = load()
    with (
        suppress(_Unprinted),
        bar("transcribing", wanted=not sys.stdout.isatty()) as progress,
        closing(
            transcribe_files(
                recognizer, inputs, selection=selection, heard=printer.heard, **options
            )
        ) as results,
    ):
        for done, result in enumerate(results, start=1):
            if result.transcript is not None:
                printer.whole(result.input.path, result.transcript)
            else:
                failed += 1
                tell(str(result.error))
                if fail_fast:
                    break
            progress(done, len(inputs))
    tell_passed_over(inputs)
    if failed:
        raise typer.Exit(2 if failed == len(inputs) else 1)


class _Unprinted(BaseException):
    """Stdout cannot be written any more; `Stdout` knows why."""


class _Printer:
    """Prints transcripts; that of a long recording which is alone as it becomes known."""

    def __init__(self, format: str, alone: bool, layout: Layout) -> None:
        self._format, self._alone, self._layout = format, alone, layout
        self._growing: Growing | None = None

    def heard(self, item: "Input", so_far: "Transcript") -> None:
        """Prints what is settled of a long recording."""
        if not self._alone:
            return
        try:
            sys.stdout.write(self._content(item.path).add(so_far))
            sys.stdout.flush()
        except OSError as error:  # which would be taken for one of the decoding process
            raise _Unprinted from error

    def whole(self, path: "Place", transcript: "Transcript") -> None:
        """Prints a transcript, or what is left of it."""
        from asr.batch import json_line

        ending = file_suffix(self._format)
        if self._alone or ending == ".ctm":
            sys.stdout.write(self._content(path).end(transcript))
        elif ending == ".json":
            sys.stdout.write(f"{json_line(path, transcript.to_dict())}\n")
        else:
            sys.stdout.write(f"{one_line(str(path))}\t{transcript.text}\n")
        sys.stdout.flush()

    def _content(self, path: "Place") -> Growing:
        if self._growing is None or not self._alone:
            self._growing = Growing(self._format, path.stem, self._layout)
        return self._growing


def _listed(
    paths: list[str], lists: list[str], nul: bool, exclude: list[str], limit: int | None
) -> "Callable[[], Inputs]":
    """Lists the recordings that the arguments name; lists of paths are read now."""
    from asr.batch import STDIN, list_inputs, read_list

    if "" in paths:
        raise BadOption("a path is empty: name a file, or a folder (. is the one you are in).")
    lists = [*lists, *(path for path in paths if path == STDIN)]
    if not (paths or lists):
        raise BadOption("no recordings are named: give files or folders, or a list (--files-from).")
    if nul and not lists:
        raise BadOption("-0 has no effect without a list: name one with --files-from.")
    listed = [path for name in lists for path in read_list(name, nul)]
    given = [path for path in paths if path != STDIN]
    return lambda: list_inputs(given, listed, exclude).first(limit)


def _check_whole(given: dict[str, Any]) -> None:
    """BadOption for an option that only a job with an output folder has."""
    for name, value in given.items():
        if value:
            raise BadOption(f"{name} has no effect on what is printed: add a folder with --output.")


def _check_printed(formats: list[str], alone: bool, timestamps: bool) -> None:
    """BadOption where stdout cannot hold the formats."""
    if len(formats) > 1:
        raise BadOption("several formats are several files: name a folder with --output.")
    if file_suffix(formats[0]) in (".srt", ".vtt", ".tsv") and not alone:
        raise BadOption(f"{formats[0]} is a file for each recording: name a folder with --output.")
    if timestamps and not alone:
        raise BadOption("timestamps need a file for each recording: name a folder with --output.")
