"""`asr transcribe PATH…`: files and folders to words."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import (
    BeamSizeOption,
    BundleOption,
    DecoderOption,
    DeviceOption,
    HotwordBoostOption,
    HotwordsOption,
    LmOption,
    LmWeightOption,
    NbestOption,
    PriorWeightOption,
    UnknownPriceOption,
    WordBonusOption,
    reading,
)
from asr.cli.progress import bar
from asr.errors import AsrError, BadOption


def transcribe(
    paths: Annotated[list[str], typer.Argument(help="Recordings, or folders of them.")],
    format: Annotated[str, typer.Option(help="txt (or text), json, srt, vtt, tsv or ctm.")] = "txt",
    output: Annotated[
        Path | None, typer.Option(help="Folder for one file per recording; else stdout.")
    ] = None,
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    decoder: DecoderOption = None,
    lm: LmOption = None,
    hotwords: HotwordsOption = None,
    nbest: NbestOption = None,
    beam_size: BeamSizeOption = None,
    lm_weight: LmWeightOption = None,
    word_bonus: WordBonusOption = None,
    unknown_price: UnknownPriceOption = None,
    prior_weight: PriorWeightOption = None,
    hotword_boost: HotwordBoostOption = None,
) -> None:
    """Write down what is said in recordings.

    One recording prints its transcript alone; several print a line each, headed by the file
    (txt) or with it under `file` (json). Exit code 1: some could not be read; 2: none could.
    """
    from asr.batch import list_inputs, output_paths, transcribe_files, write_atomically
    from asr.transcript import file_suffix, write

    ending = file_suffix(format)  # refuses an unknown format before any work
    if "" in paths:
        raise BadOption("a path is empty: name a file, or a folder (. is the one you are in).")
    inputs = list_inputs(paths)
    targets = output_paths(inputs, output, format) if output else []
    alone = len(inputs) == len(paths) == 1 and not Path(paths[0]).is_dir()
    if ending in (".srt", ".vtt", ".tsv") and not (targets or alone):
        raise BadOption(f"{format} is a file for each recording: name a folder with --output.")
    options = reading(
        hotwords,
        lm,
        decoder=decoder,
        nbest=nbest,
        beam_size=beam_size,
        lm_weight=lm_weight,
        word_bonus=word_bonus,
        unknown_price=unknown_price,
        prior_weight=prior_weight,
        hotword_boost=hotword_boost,
    )
    if nbest is not None and nbest > 1 and ending != ".json":
        raise BadOption(f"{format} has no place for several readings: add --format json.")
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(bundle, device, lm)
    failed = 0
    with bar("transcribing", wanted=bool(targets) or not sys.stdout.isatty()) as progress:
        results = transcribe_files(recognizer, inputs, **options)
        for done, result in enumerate(results, start=1):
            if result.transcript is None:
                failed += 1
                sys.stderr.write(f"asr: {result.error}\n")
            elif targets:
                try:
                    text = write(result.transcript, format, result.input.path.stem)
                    write_atomically(targets[done - 1], text)
                except AsrError as error:
                    failed += 1
                    sys.stderr.write(f"asr: {error}\n")
            elif alone or ending == ".ctm":
                sys.stdout.write(write(result.transcript, format, result.input.path.stem))
            elif ending == ".json":
                line = {"file": str(result.input.path), **result.transcript.to_dict()}
                sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
            else:
                sys.stdout.write(f"{result.input.path}\t{write(result.transcript, format)}")
            sys.stdout.flush()
            progress(done, len(inputs))
    if targets:
        sys.stderr.write(f"asr: {len(inputs) - failed} of {len(inputs)} written to {output}\n")
    if failed:
        raise typer.Exit(2 if failed == len(inputs) else 1)
