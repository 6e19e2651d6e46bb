"""`asr evaluate MANIFEST`: error rates, speed, and the worst utterances."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from asr.cli.options import BundleOption, DecoderOption, DeviceOption
from asr.cli.progress import bar


def evaluate(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    decoder: DecoderOption = None,
    worst: Annotated[int, typer.Option(help="Utterances to show, the worst first.", min=0)] = 5,
    record: Annotated[
        bool, typer.Option("--record", help="Write the figure into the bundle and its card.")
    ] = False,
) -> None:
    """Transcribe a manifest and state word and character error rates and speed."""
    from asr.bundle import record_figure
    from asr.evaluation import aligned
    from asr.evaluation import evaluate as run
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(bundle, device)
    options: dict[str, Any] = {} if decoder is None else {"decoder": decoder}
    with bar("evaluating") as progress:
        result = run(recognizer, manifest, progress, **options)
    score = result.score
    lines = [
        f"clips           {len(score.utterances)}",
        f"words           {score.words}",
        f"WER             {score.wer:.2%}",
        f"CER             {score.cer:.2%}",
        f"substitutions   {score.substitutions}",
        f"deletions       {score.deletions}",
        f"insertions      {score.insertions}",
        f"audio           {result.audio_seconds / 3600:.2f} h",
        f"speed           {result.realtime_factor:.0f} seconds of audio per second, "
        f"on {recognizer.device}, files read and decoded",
    ]
    for scored in score.worst(worst):
        lines += ["", f"{scored.id}: {scored.errors} errors, WER {scored.wer:.0%}", aligned(scored)]
    typer.echo("\n".join(lines))
    if record:
        record_figure(
            recognizer.bundle.path,
            {
                "manifest": manifest.name,
                "decoder": decoder or recognizer.bundle.info["decoding"]["decoder"],
                "precision": "fp32" if recognizer.device == "cuda" else recognizer.bundle.precision,
                "clips": len(score.utterances),
                "words": score.words,
                "wer": round(score.wer, 4),
                "cer": round(score.cer, 4),
                "command": _command(manifest, decoder),
            },
        )
        typer.echo(f"recorded in {recognizer.bundle.path}", err=True)


def _command(manifest: Path, decoder: str | None) -> str:
    """What gives the figure elsewhere too: a corpus folder is named by its variable."""
    corpus = os.environ.get("EARSHOT_DATA")
    name = manifest.name
    if corpus and Path(corpus).resolve() in manifest.resolve().parents:
        name = f"$EARSHOT_DATA/{manifest.resolve().relative_to(Path(corpus).resolve())}"
    return f"asr evaluate {name}" + (f" --decoder {decoder}" if decoder else "")
