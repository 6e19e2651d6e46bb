"""`asr adapt SPEECH -o BUNDLE`: minutes of somebody's speech -> a bundle that knows it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.extras import needs
from asr.cli.options import BundleOption, DeviceOption
from asr.cli.output import stoppable
from asr.cli.progress import bar
from asr.durations import spoken
from asr.errors import BadOption
from asr.scratch import scratch

if TYPE_CHECKING:
    from asr.adaptation.material import Material
    from asr.adaptation.recipe import Recipe
    from asr.bundle import Bundle
    from asr.evaluation import Score
    from asr.training.checkpoint import Checkpoint

_FEW_WORDS = 300
"""Words below which a difference of a tenth of the errors may be chance."""


class _NothingGained(Exception):
    """The adapted bundle reads the new speech no better."""


@stoppable("stopped: no bundle is written, and nothing else is left.")
def adapt(
    speech: Annotated[
        Path,
        typer.Argument(help="Folder of recordings with texts, a table, or a manifest."),
    ],
    out: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the new bundle, which must not exist.")
    ],
    bundle: BundleOption = None,
    test: Annotated[
        Path | None,
        typer.Option(help="Speech to test on, as SPEECH; else a part of SPEECH is cut off."),
    ] = None,
    old: Annotated[
        Path | None,
        typer.Option(help="Manifest of speech that the bundle knew: says what is forgotten."),
    ] = None,
    rehearsal: Annotated[
        Path | None,
        typer.Option(help="Manifest of such speech to train on too, in 30 % of the batches."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the speech, in place of what its amount tells.", min=1),
    ] = None,
    sources: Annotated[
        str, typer.Option(help="The speech and its licence, for the card.")
    ] = "Adapted to recordings of its user's own.",
    device: DeviceOption = "auto",
) -> None:
    """Adapt a bundle to minutes of speech: a voice, an accent, a trade's words.

    A part of the speech is cut off to test on; the rest is trained on. The new bundle keeps the
    language model, lexicon, marks and calibration of the old one, which stays as it is. Where the
    test shows no fewer errors, nothing is written.
    Exit code 0: written; 1: nothing gained; 2: nothing could be done; 130: stopped by Ctrl-C.
    """
    if out.exists():
        raise BadOption(f"{out} is there already: name another folder for the new bundle.")
    for manifest in (old, rehearsal):
        if manifest is not None and not manifest.is_file():
            raise BadOption(f"{manifest} is no manifest: --old and --rehearsal take a file.")
    _try_to_write(out)
    typer.echo(f"asr: reading {speech}", err=True)  # torch alone takes seconds to import
    with needs("train"):
        from asr.adaptation.material import gather
        from asr.adaptation.recipe import REHEARSED, Recipe
        from asr.adaptation.run import train
        from asr.bundle import Bundle, default_bundle

    before = Bundle.open(bundle or default_bundle())
    with scratch("asr-adapt-") as work:
        with bar("reading") as progress:
            material = gather(speech, work, before, progress, test)
        tell_left_out(material.left_out)
        recipe = Recipe.of(material.train.total, epochs)
        tell_recipe(material, recipe)
        others = [(rehearsal, REHEARSED)] if rehearsal else []
        config = recipe.config(before, material, work / "run", others, device, sources)
        try:
            _adapt(before, out, material, lambda: train(recipe, config), old, device)
        except _NothingGained as reason:
            typer.echo(f"asr: nothing was gained, so {out} is not written: {reason}", err=True)
            raise typer.Exit(1) from None
    typer.echo(f"written         {out}")


def _try_to_write(out: Path) -> None:
    """BadOption where the bundle could not be written, before minutes of training."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent):
            pass
    except OSError as error:
        raise BadOption(
            f"{out} cannot be written ({error.strerror}): name another folder."
        ) from error


def _adapt(
    before: "Bundle",
    out: Path,
    material: "Material",
    learn: Callable[[], "Checkpoint | None"],
    old: Path | None,
    device: str,
) -> None:
    """Trains, measures, and writes the bundle if the new speech has fewer errors."""
    from asr.bundle import changed_copy, put_acoustics
    from asr.export import export

    work = material.test.manifest.parent
    sets = {"new speech": material.test.manifest} | ({"old speech": old} if old else {})
    scores = _scores(before.path, sets, device)
    trained = learn()
    if trained is None:
        raise _NothingGained("training gave no fewer errors of the speech to test on.")
    exported = export(trained, work / "exported", before.precision)
    new = scores["new speech"]
    with changed_copy(before.path, out) as copy:
        put_acoustics(copy, exported)
        after = _scores(copy, sets, device)
        for name, score in after.items():
            typer.echo(compared(name, scores[name], score))
        if after["new speech"].errors >= new.errors:
            raise _NothingGained("give more speech, or look whether its texts are what is said.")
    if new.words < _FEW_WORDS:
        typer.echo(
            f"the part to test on has {new.words} words, too few to tell how much is gained",
            err=True,
        )


def _scores(bundle: Path, manifests: dict[str, Path], device: str) -> "dict[str, Score]":
    from asr.evaluation import evaluate
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(bundle, device)
    with bar("evaluating") as progress:
        return {
            name: evaluate(recognizer, manifest, progress).score
            for name, manifest in manifests.items()
        }


def tell_left_out(problems: Iterable[str]) -> None:
    """Names what cannot be used, on stderr."""
    for problem in problems:
        typer.echo(f"{problem}; left out", err=True)


def tell_recipe(material: "Material", recipe: "Recipe") -> None:
    """Prints how much speech there is, and how it is trained on."""
    train, test = material.train, material.test
    typer.echo(
        f"speech          {spoken(train.total)} to learn from ({len(train.seconds)} clips), "
        f"{spoken(test.total)} to test on ({len(test.seconds)})\n"
        f"recipe          {recipe.epochs} passes, rate {recipe.rate:g}, "
        f"{recipe.share:.0%} of the way from the old weights"
    )


def compared(name: str, before: "Score", after: "Score") -> str:
    """A line on a set's errors before and after."""
    change = f" ({after.errors / before.errors - 1:+.1%})" if before.errors else ""
    return (
        f"{name:16}WER {before.wer:.2%} before, {after.wer:.2%} after: {before.errors} and "
        f"{after.errors} errors in {before.words} words{change}"
    )
