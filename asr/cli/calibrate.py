"""`asr calibrate MANIFEST…`: fits confidence, word ends and silence into a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.failures import Failures
from asr.cli.options import BundleOption, DeviceOption, to_change
from asr.cli.progress import bar
from asr.counting import counted
from asr.errors import BadOption

if TYPE_CHECKING:
    from asr.fitting import Fitted


def calibrate(
    manifests: Annotated[
        list[Path], typer.Argument(help="Development speech: JSON lines with `audio` and `text`.")
    ],
    noise: Annotated[
        Path | None,
        typer.Option(help="Recordings without speech: JSON lines with `audio`; else none is told."),
    ] = None,
    without: Annotated[
        str, typer.Option(help="Recordings of --noise whose ids end so are left out, for tests.")
    ] = "",
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Fit confidence, word ends and the detection of speech; write them into the bundle.

    Do this last: it must be repeated after a new language model or other decoder weights. The
    printed figures are from a fit to half of the speakers, or of the clips of one, measured on the
    other half; the bundle gets a fit to all.
    Exit code 0: written; 1: written, but some recordings could not be read; 2: nothing could be
    done.
    """
    if without and noise is None:
        raise BadOption("--without has no effect without --noise: leave it out.")
    from asr.bundle import put_calibration
    from asr.fitting import calibrate as fit
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(to_change(bundle), device)
    failed = Failures()
    with bar("calibrating") as progress:
        results = fit(recognizer, manifests, noise, without, progress, failed.unread)
    for decoder, fitted in results.items():
        typer.echo("\n".join(_lines(decoder, fitted)))
    put_calibration(
        recognizer.bundle.path,
        {decoder: fitted.calibration.to_dict() for decoder, fitted in results.items()},
    )
    typer.echo(f"written into {recognizer.bundle.path}", err=True)
    failed.end()


def _lines(decoder: str, fitted: "Fitted") -> list[str]:
    return [
        f"{decoder:16}{'AUC':>8}{'NCE':>8}{'ECE':>8}",
        *(
            f"{label:16}{reliability.auc:8.3f}{reliability.nce:8.3f}{reliability.ece:8.3f}"
            for label, reliability in (("before", fitted.before), ("after", fitted.after))
        ),
        f"before a pause  words end {fitted.calibration.end_offset:+.3f} s behind their last frame",
        f"right words     {fitted.lost:.2%} taken for noise",
        f"speech          {fitted.silent[0]} of {counted(fitted.silent[2], 'clip')} without words "
        f"before, {fitted.silent[1]} after",
        f"noise           {fitted.noisy[0]} of {counted(fitted.noisy[2], 'clip')} with words "
        f"before, {fitted.noisy[1]} after",
    ]
