"""`asr inspect CLIP`: how a model hears a recording, as numbers, a page or a picture."""

from pathlib import Path
from typing import Annotated

import typer

from asr.cli.extras import needs
from asr.cli.options import BundleOption
from asr.errors import BadOption
from asr.files import check_writable

_PAGES, _PICTURES = (".html", ".htm"), (".png", ".svg", ".pdf")


def inspect(
    clip: Annotated[Path, typer.Argument(help="A recording; the first 30 seconds are inspected.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Page (.html) or picture (.png, .svg, .pdf) to write."),
    ] = None,
    bundle: BundleOption = None,
) -> None:
    """Show what every gate and cell of a model does while it hears a recording.

    Prints how long the cells of each layer remember. The page has sound, units, words, gates and
    cells on one time axis, and the words that come out while a layer's memory is held.
    """
    from asr.audio import load

    ending = None if out is None else out.suffix.lower()
    if ending is not None and ending not in (*_PAGES, *_PICTURES):
        allowed = ", ".join((_PAGES[0], *_PICTURES))
        raise BadOption(f"{out} is no page and no picture: name a {allowed} file.")
    with needs("gpu" if ending is None else "train"):
        from asr.inspection import inspect as inspected
        from asr.inspection import summary
    with needs("train"):  # before the work is done
        if ending in _PAGES:
            from asr.inspection.page import write_page
        elif ending is not None:
            from asr.inspection.picture import draw
    from asr.runtime import Recognizer

    audio = load(clip)
    if out is not None:
        check_writable(out)
    inspection = inspected(Recognizer.load(bundle, "cpu"), audio)
    if out is not None:
        if ending in _PAGES:
            write_page(inspection, out, clip.name)
        else:
            draw(inspection, out)
        typer.echo(f"asr: {out}", err=True)
    typer.echo(inspection.transcript.text)
    rows = summary(inspection)
    if rows:
        typer.echo("layer direction   open  half-life: median  longest  over 1 s")
    for row in rows:
        typer.echo(
            f"{row['layer']:5} {row['direction']:9} {row['open']:6.2f} "
            f"{1000 * row['median_s']:14.0f} ms {row['longest_s']:6.1f} s {row['over_1_s']:8.1%}"
        )
    if inspection.was_cut:
        typer.echo(
            f"asr: {clip} is longer than a page can hold; its first "
            f"{inspection.audio.duration:.0f} seconds were inspected",
            err=True,
        )
