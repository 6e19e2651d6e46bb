"""`asr evaluate MANIFEST`: error rates, speed, where the errors are, and comparisons."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    PriorWeightOption,
    UnknownPriceOption,
    WordBonusOption,
    reading,
)
from asr.cli.progress import bar
from asr.errors import BadOption

if TYPE_CHECKING:
    from asr.evaluation import Clip, Evaluation
    from asr.runtime import Recognizer


def evaluate(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    decoder: DecoderOption = None,
    lm: LmOption = None,
    hotwords: HotwordsOption = None,
    beam_size: BeamSizeOption = None,
    lm_weight: LmWeightOption = None,
    word_bonus: WordBonusOption = None,
    unknown_price: UnknownPriceOption = None,
    prior_weight: PriorWeightOption = None,
    hotword_boost: HotwordBoostOption = None,
    normaliser: Annotated[
        str,
        typer.Option(
            help="How texts are made comparable: plain (lower case, no punctuation), or english "
            "(as public rankings do: one spelling, digits for numbers, no contractions)."
        ),
    ] = "plain",
    train: Annotated[
        list[Path] | None,
        typer.Option(help="Training manifest: states how many words it has not are recognised."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Bundle, or file of --json, to compare with.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--json", "--output", help="File for all figures and clips.")
    ] = None,
    worst: Annotated[int, typer.Option(help="Utterances to show, the worst first.", min=0)] = 5,
    record: Annotated[
        bool, typer.Option("--record", help="Write the figure into the bundle and its card.")
    ] = False,
) -> None:
    """Transcribe a manifest and state error rates and speed, in all and by kinds of clips."""
    from asr.batch import write_atomically
    from asr.evaluation import Analysis, compare, known_words, lines, normaliser_named
    from asr.evaluation import evaluate as run
    from asr.runtime import Recognizer

    normaliser_named(normaliser)  # what cannot be is refused before any work
    if record and normaliser != "plain":
        raise BadOption("--record takes plain figures: leave out --normaliser.")
    options = reading(
        hotwords,
        lm,
        decoder=decoder,
        beam_size=beam_size,
        lm_weight=lm_weight,
        word_bonus=word_bonus,
        unknown_price=unknown_price,
        prior_weight=prior_weight,
        hotword_boost=hotword_boost,
    )
    if record and (lm is not None or options.keys() - {"decoder"}):
        raise BadOption("--record takes the bundle as it is: of decoding give --decoder alone.")
    if results is not None and results.is_dir():
        raise BadOption(f"--json {results} is a folder: name a file.")
    known = known_words(train, normaliser) if train else None
    recognizer = Recognizer.load(bundle, device, lm)
    recognizer.options(**options)

    def hear(system: Recognizer) -> "Evaluation":
        with bar("evaluating") as progress:
            return run(system, manifest, progress, normaliser, **options)

    rival = None if against is None else _rival(against, device, hear)
    found = hear(recognizer)
    comparison = rival and compare(found, rival(found.clips), str(against))
    analysis = Analysis.of(found, known, comparison)
    typer.echo("\n".join(lines(analysis, recognizer.device, worst)))
    if results is not None:
        about = {
            "manifest": str(manifest),
            "bundle": str(recognizer.bundle.path),
            "lm": None if lm is None else str(lm),
            "options": options,
            "device": recognizer.device,
        }
        text = json.dumps({**about, **analysis.to_dict()}, ensure_ascii=False, indent=1)
        write_atomically(results, f"{text}\n")
    if record:
        _record(recognizer, found, manifest, decoder)


def _rival(
    against: Path, device: str, hear: Callable[["Recognizer"], "Evaluation"]
) -> Callable[[Sequence["Clip"]], list[str]]:
    """Gives what the other system heard in clips; it is opened before any work is done."""
    from asr.evaluation import in_order, read_saved
    from asr.runtime import Recognizer

    if not against.exists():
        raise BadOption(f"--against {against}: there is no such bundle or file of results.")
    if against.is_dir():
        other = Recognizer.load(against, device)
        return lambda _: [clip.heard for clip in hear(other).clips]
    saved = read_saved(against)
    return lambda clips: in_order(saved, clips, str(against))


def _record(
    recognizer: "Recognizer", found: "Evaluation", manifest: Path, decoder: str | None
) -> None:
    from asr.bundle import record_figure

    score, bundle = found.score, recognizer.bundle
    record_figure(
        bundle.path,
        {
            "manifest": manifest.name,
            "decoder": decoder or recognizer.options().decoder,
            "precision": "fp32" if recognizer.device == "cuda" else bundle.precision,
            "clips": len(score.utterances),
            "words": score.words,
            "wer": round(score.wer, 6),
            "cer": round(score.cer, 6),
            "speed": round(found.realtime_factor, 1),
            "device": _device(recognizer.device),
            "command": _command(manifest, decoder),
        },
    )
    typer.echo(f"recorded in {bundle.path}", err=True)


def _device(name: str) -> str:
    """What ran the model, in words."""
    if name == "cuda":
        from torch.cuda import get_device_name

        return get_device_name()
    from asr.runtime.onnx_engine import usable_cores

    return f"CPU of {usable_cores()} cores"


def _command(manifest: Path, decoder: str | None) -> str:
    """What gives the figure elsewhere too: a corpus folder is named by its variable."""
    corpus = os.environ.get("EARSHOT_DATA")
    name = manifest.name if manifest.is_absolute() else manifest.as_posix()
    if corpus and Path(corpus).resolve() in manifest.resolve().parents:
        name = f"$EARSHOT_DATA/{manifest.resolve().relative_to(Path(corpus).resolve())}"
    return f"asr evaluate {name}" + (f" --decoder {decoder}" if decoder else "")
