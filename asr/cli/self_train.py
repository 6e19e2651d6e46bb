"""`asr data self-train SPEECH UNHEARD -o OUT`: what a bundle is sure of teaches the next."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.adapt import compared, tell_left_out, tell_recipe
from asr.cli.data import recordings_of
from asr.cli.extras import needs
from asr.cli.options import DeviceOption
from asr.cli.output import stoppable
from asr.cli.progress import bar
from asr.counting import counted
from asr.durations import spoken

if TYPE_CHECKING:
    from asr.adaptation.self_training import Kept


@stoppable("stopped: the same command goes on.")
def self_train(
    speech: Annotated[
        Path, typer.Argument(help="Recordings with texts: a folder, a table or a manifest.")
    ],
    unheard: Annotated[
        Path, typer.Argument(help="Recordings without: a manifest (`audio`) or a folder.")
    ],
    out: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the rounds and their bundles.")
    ],
    bundle: Annotated[
        Path | None,
        typer.Option(help="Bundle, or checkpoint of `asr fit`, to start from; else the shipped."),
    ] = None,
    dev: Annotated[
        Path | None,
        typer.Option(help="Speech to measure on, as SPEECH; else a part of SPEECH is cut off."),
    ] = None,
    rounds: Annotated[int, typer.Option(help="How often to label and to train.", min=1)] = 2,
    threshold: Annotated[
        float, typer.Option(help="Lowest confidence of a text to learn from.", min=0.0, max=1.0)
    ] = 0.6,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over SPEECH in a round, in place of what its amount tells.", min=1
        ),
    ] = None,
    sources: Annotated[
        str, typer.Option(help="The recordings and their licences, for the card.")
    ] = "Trained further on recordings of its user's own, some of them with texts that it guessed.",
    device: DeviceOption = "auto",
) -> None:
    """Learn from recordings without texts: label them, train on what is sure, repeat.

    A text is kept if its confidence is high and it is as quick as those of SPEECH, which stays at
    least half of what is trained on. OUT/round-N is the bundle of round N. The same command goes on
    where it was stopped, and with more --rounds adds some.
    Exit code 0: a round brought fewer errors; 1: none did; 2: nothing could be done.
    """
    typer.echo(f"asr: reading {speech} and {unheard}", err=True)  # before seconds of imports
    with needs("train"):
        from asr.adaptation.material import gather
        from asr.adaptation.recipe import Recipe
        from asr.adaptation.self_training import Course, start_from, without_texts, work_of
        from asr.bundle import default_bundle

    work = work_of(out)
    inputs, known = recordings_of(unheard)
    start = start_from(out, bundle or default_bundle())
    with bar("reading") as progress:
        material = gather(speech, work, start, progress, dev)
    tell_left_out(material.left_out)
    recipe = replace(Recipe.of(material.train.total, epochs), share=1.0)
    new = without_texts(inputs, material, unheard)
    if other := len(inputs) - len(new):
        tell_left_out([f"{unheard}: {other} with texts, or measured on"])
    course = Course(out, start, material, new, known, threshold, recipe, sources, device, bar)
    course.begin()
    tell_recipe(material, recipe)
    best = None
    for done in course.rounds(rounds, _tell_kept):
        typer.echo(compared(done.bundle.name, done.before, done.after))
        best = done.bundle if done.gained else best
    if best is None:
        typer.echo("asr: no round brought fewer errors, so the start stays the best.", err=True)
        raise typer.Exit(1)
    typer.echo(f"written         {best}")


def _tell_kept(kept: "Kept") -> None:
    tell_left_out(kept.left_out)
    typer.echo(
        f"{kept.manifest.parent.name:16}{kept.clips:,} of {counted(kept.of_clips, 'recording')} "
        f"kept, {spoken(kept.seconds)} of {spoken(kept.of_seconds)}"
    )
