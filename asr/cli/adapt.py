"""`asr adapt SPEECH -o BUNDLE`: minutes of somebody's speech -> a bundle that knows it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.evaluate import record_score
from asr.cli.extras import needs
from asr.cli.options import BundleOption, DeviceOption
from asr.cli.output import stoppable
from asr.cli.progress import bar
from asr.counting import counted
from asr.durations import spoken
from asr.errors import AsrError, BadOption
from asr.files import check_writable
from asr.scratch import scratch

if TYPE_CHECKING:
    from asr.adaptation.material import Material
    from asr.adaptation.recipe import Recipe
    from asr.bundle import Bundle
    from asr.evaluation import Score
    from asr.runtime import Recognizer

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
        typer.Option(
            help="Manifest of such speech to train on too: more is learnt and less forgotten."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the speech, in place of what its amount tells.", min=1),
    ] = None,
    keep_lm: Annotated[
        bool,
        typer.Option("--keep-lm", help="Leave the language model as it is: no texts go into it."),
    ] = False,
    sources: Annotated[
        str, typer.Option(help="The speech and its licence, for the card.")
    ] = "Adapted to recordings of its user's own.",
    device: DeviceOption = "auto",
) -> None:
    """Adapt a bundle to minutes of speech: a voice, an accent, a trade's words.

    A part of the speech is cut off to test on; the rest is trained on, and its texts are mixed into
    the language model. The new bundle keeps the marks and calibration of the old one, which stays
    as it is. Where the test shows no fewer errors, nothing is written.
    Exit code 0: written; 1: nothing gained; 2: nothing could be done; 130: stopped by Ctrl-C.
    """
    from asr.runtime import Recognizer

    if out.exists():
        raise BadOption(f"{out} is there already: name another folder for the new bundle.")
    for manifest in (old, rehearsal):
        if manifest is not None:
            _check_manifest(manifest)
    recognizer = Recognizer.load(bundle, device)
    before = recognizer.bundle
    check_writable(out)
    typer.echo(f"asr: reading {speech}", err=True)  # torch alone takes seconds to import
    with needs("train"):
        from asr.adaptation.material import gather
        from asr.adaptation.recipe import REHEARSED, Recipe
        from asr.adaptation.run import train
        from asr.bundle import changed_copy, put_acoustics
        from asr.export import export

    with scratch("asr-adapt-") as work:
        with _room_in(work), bar("reading") as progress:
            material = gather(speech, work, before, progress, test)
        tell_left_out(material.left_out)
        if material.bare:
            typer.echo(
                "learnt without their accents, as the model has no letters for them: "
                f"{' '.join(sorted(material.bare))}",
                err=True,
            )
        if material.repeated:
            typer.echo(
                f"also learnt from: {material.repeated} of the "
                f"{counted(len(material.test.seconds), 'clip')} to test on, whose errors say "
                "nothing of other speech",
                err=True,
            )
        recipe = Recipe.of(material.train.total, epochs, rehearsed=rehearsal is not None)
        tell_recipe(material, recipe)
        sets = {"new speech": material.test.manifest} | ({"old speech": old} if old else {})
        scores = _scores(recognizer, sets)
        others = [(rehearsal, REHEARSED)] if rehearsal else []
        config = recipe.config(before, material, work / "run", others, device, sources)
        try:
            with _room_in(work):
                if (trained := train(recipe, config)) is None:
                    raise _NothingGained("training gave no fewer errors of the speech to test on.")
                exported = export(trained, work / "exported", before.precision)
            with changed_copy(before.path, out) as copy:
                put_acoustics(copy, exported)
                if not keep_lm:
                    _mix_in(material.train.manifest, before, copy)
                adapted = Recognizer.load(copy, device)
                found = _scores(adapted, sets)
                _compare(scores, found)
                named = test.name if test else f"a part of {speech.name}"
                names = {"new speech": named} | ({"old speech": old.name} if old else {})
                for which, score in found.items():
                    record_score(
                        adapted,
                        score,
                        manifest=names[which],
                        decoder=adapted.options().decoder,
                        command=f"asr adapt {speech.name}",
                    )
        except _NothingGained as reason:
            typer.echo(f"asr: nothing was gained, so {out} is not written: {reason}", err=True)
            raise typer.Exit(1) from None
    typer.echo(f"written         {out}")


def _check_manifest(path: Path) -> None:
    """BadOption where it is no manifest, or none of its lines can be used."""
    from asr.corpus import read_manifest

    if not path.is_file():
        raise BadOption(f"{path} is no manifest: --old and --rehearsal take a file.")
    usable, findings = read_manifest(path)
    if not usable:
        why = f"line {findings[0].line}: {findings[0].reason}" if findings else "it has no lines"
        raise BadOption(f"{path} has no recording for --old or --rehearsal: {why}.")


@contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    """BadOption where the disk of a temporary folder, of which nothing is left, is full."""
    from asr.training.callbacks.checkpoints import no_space

    try:
        yield
    except (AsrError, OSError) as error:
        if (reason := no_space(error)) is None:
            raise
        raise BadOption(
            f"{folder.parent} has no room for what is worked on ({reason}): free some there, or "
            "name another folder in TMPDIR; no bundle is written."
        ) from error


def _mix_in(manifest: Path, before: "Bundle", copy: Path) -> None:
    """Mixes the texts of a manifest into the language model, if there is one of words.

    Their weight is that of few sentences, however many they are: what is said next is no sentence
    of theirs.
    """
    from asr.cli.lm import new_words, put_mixed, told_of_mixture
    from asr.lm import read_ngram
    from asr.lm.estimation.mixing import OF_FEW, mix
    from asr.text import without_accents

    if before.lm is None or (old := read_ngram(before.lm)).kind != "words":
        typer.echo("the bundle has no language model of words for the texts to go into", err=True)
        return
    mixed = mix(
        old,
        manifest,
        bar,
        spells=lambda word: not before.tokenizer.unknown(word),
        language=before.info.language,
        weight=OF_FEW,
        plain=without_accents(before.tokenizer),
    )
    told = told_of_mixture(before, OF_FEW, "the texts of the speech it was adapted to")
    silent = put_mixed(copy, mixed.model, mixed, told)
    typer.echo("\n".join(new_words(mixed, silent)))


def _compare(before: "dict[str, Score]", after: "dict[str, Score]") -> None:
    """Prints the errors before and after; _NothingGained if the new speech has no fewer."""
    for name, score in after.items():
        typer.echo(compared(name, before[name], score))
    new = before["new speech"]
    if after["new speech"].errors >= new.errors:
        raise _NothingGained("give more speech, or look whether its texts are what is said.")
    if new.words < _FEW_WORDS:
        typer.echo(
            f"the part to test on has {counted(new.words, 'word')}, too few to tell how much is "
            "gained",
            err=True,
        )


def _scores(recognizer: "Recognizer", manifests: dict[str, Path]) -> "dict[str, Score]":
    from asr.evaluation import evaluate

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
        f"speech          {spoken(train.total)} to learn from "
        f"({counted(len(train.seconds), 'clip')}), "
        f"{spoken(test.total)} to test on ({len(test.seconds)})\n"
        f"recipe          {counted(recipe.epochs, 'pass', 'passes')}, rate {recipe.rate:g}, "
        f"{recipe.share:.0%} of the way from the old weights"
    )


def compared(name: str, before: "Score", after: "Score") -> str:
    """A line on a set's errors before and after."""
    change = f" ({after.errors / before.errors - 1:+.1%})" if before.errors else ""
    return (
        f"{name:16}WER {before.wer:.2%} before, {after.wer:.2%} after: {before.errors} and "
        f"{after.errors} errors in {counted(before.words, 'word')}{change}"
    )
