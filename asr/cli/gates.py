"""`asr gates CLIP`: how long a model's cells remember, and a picture of their gates."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.extras import needs
from asr.cli.options import BundleOption
from asr.errors import BadOption

if TYPE_CHECKING:
    from asr.model.gates import Gates

_PICTURES = (".png", ".svg", ".pdf")


def gates(
    clip: Annotated[Path, typer.Argument(help="A recording of some seconds.")],
    bundle: BundleOption = None,
    picture: Annotated[
        Path | None, typer.Option(help="PNG, SVG or PDF to draw: forget gates over time.")
    ] = None,
) -> None:
    """Record the gates of an LSTM for a clip, and measure how long its cells remember."""
    from asr.audio import load
    from asr.bundle import Bundle, default_bundle

    with needs("gpu"):
        from asr.model.gates import gates as listen

    if picture is not None and picture.suffix.lower() not in _PICTURES:
        raise BadOption(f"{picture} cannot be drawn: name a {', '.join(_PICTURES)} file.")
    opened = Bundle.open(bundle or default_bundle())
    audio = load(clip)
    seconds = opened.model.frame_seconds
    layers = list(listen(opened.acoustic_model(), audio.samples))
    typer.echo("layer direction   open  half-life: median  longest  over 1 s")
    for item in layers:
        lives = item.half_life(seconds)
        typer.echo(
            f"{item.layer:5} {item.direction:9} {item.forget.mean():6.2f} "
            f"{1000 * lives.median():14.0f} ms {lives.max():6.1f} s "
            f"{(lives > 1).float().mean():8.1%}"
        )
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        with needs("train"):
            _draw(layers, seconds, picture)
        typer.echo(str(picture), err=True)


def _draw(recorded: "list[Gates]", seconds: float, path: Path) -> None:
    """Draws forget gates over time; a layer's cells are sorted by how long they remember."""
    from matplotlib.figure import Figure

    layers = max(item.layer for item in recorded)
    figure = Figure(figsize=(11, 2.2 * layers), layout="constrained")
    panels = figure.subplots(layers, 2, sharex=True, squeeze=False)
    for item in recorded:
        axes = panels[layers - item.layer][int(item.direction == "back")]
        order = item.half_life(seconds).argsort()
        drawn = axes.imshow(
            item.forget[:, order].T,
            aspect="auto",
            origin="lower",
            cmap="magma",
            vmin=0,
            vmax=1,
            extent=(0.0, len(item.forget) * seconds, 0.0, float(len(order))),
        )
        axes.set_title(f"layer {item.layer}, {item.direction}", loc="left", fontsize=10)
        axes.set_ylabel("cells, by memory")
    for axes in panels[-1]:
        axes.set_xlabel("seconds")
    figure.colorbar(drawn, ax=panels, label="forget gate: 1 keeps, 0 forgets", shrink=0.6)
    figure.savefig(path, dpi=110)
