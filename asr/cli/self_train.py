"""`asr data self-train SPEECH UNHEARD -o OUT`: what a bundle is sure of teaches the next."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli.adapt import compared, tell_recipe
from asr.cli.data import recordings_of
from asr.cli.extras import needs
from asr.cli.options import DeviceOption
from asr.cli.output import stoppable
from asr.cli.progress import bar, spoken
from asr.errors import BadData, BadOption
from asr.files import write_atomically

if TYPE_CHECKING:
    from asr.batch import Input, Label
    from asr.bundle import Bundle
    from asr.corpus import Utterance
    from asr.evaluation import Score
    from asr.runtime import Recognizer
    from asr.training.adaptation.material import Material, Part
    from asr.training.adaptation.recipe import Recipe

_WORK, _SETTINGS = "work", "settings.json"
_MOST_GUESSED = 0.5
"""Share of the batches with guessed texts, however many there are."""
_ODD = 0.5
"""Per cent of the texts at either end, by words per second, that do not say what is usual."""


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
    with needs("train"):
        from asr.bundle import default_bundle
        from asr.training.adaptation.material import gather
        from asr.training.adaptation.recipe import Recipe

    work = out / _WORK
    if out.exists() and not work.is_dir():
        raise BadOption(f"{out} is there already and has no self-training: name another folder.")
    inputs, known = recordings_of(unheard)
    start = _start(bundle or default_bundle(), work)
    with bar("reading") as progress:
        material = gather(speech, work, start, progress, dev)
    for problem in material.left_out:
        typer.echo(f"{problem}; left out", err=True)
    recipe = replace(Recipe.of(material.train.total, epochs), share=1.0)
    new = _without_texts(inputs, material, unheard)
    course = _Course(material, new, known, threshold, recipe, sources, device)
    _keep_settings(work / _SETTINGS, course.settings(start))
    tell_recipe(material, recipe)
    best = course.teach(_calibrated(start, material, device), out, rounds)
    if best is None:
        typer.echo("asr: no round brought fewer errors, so the start stays the best.", err=True)
        raise typer.Exit(1)
    typer.echo(f"written         {best}")


@dataclass(frozen=True)
class _Course:
    """What all rounds have in common."""

    material: "Material"
    inputs: "Sequence[Input]"
    known: "Mapping[str, Utterance]"
    """What is known of them besides, by absolute path."""
    threshold: float
    recipe: "Recipe"
    sources: str
    device: str

    def settings(self, start: "Bundle") -> dict[str, Any]:
        """What decides the results, in words or as digests."""
        paths = "\n".join(item.key for item in self.inputs)
        return {
            "SPEECH": _digest(self.material.train.manifest.read_bytes()),
            "UNHEARD": _digest(os.fsencode(paths)),
            "--dev": _digest(self.material.test.manifest.read_bytes()),
            "--bundle": start.path.name,
            "--threshold": self.threshold,
            "--epochs": self.recipe.epochs,
        }

    def teach(self, start: "Bundle", out: Path, rounds: int) -> Path | None:
        """The bundle of the last round that brought fewer errors, if any did."""
        from asr.runtime import Recognizer

        teacher, best = Recognizer.load(start.path, self.device), None
        before = self._score(teacher)
        for number in range(1, rounds + 1):
            bundle = out / f"round-{number}"
            if not bundle.exists() and not self._learn(teacher, bundle, out / _WORK / bundle.name):
                break
            teacher = Recognizer.load(bundle, self.device)
            after = self._score(teacher)
            typer.echo(compared(bundle.name, before, after))
            if after.errors >= before.errors:
                break
            before, best = after, bundle
        return best

    def _score(self, recognizer: "Recognizer") -> "Score":
        from asr.evaluation import evaluate

        with bar("evaluating") as progress:
            return evaluate(recognizer, self.material.test.manifest, progress).score

    def _learn(self, teacher: "Recognizer", out: Path, work: Path) -> bool:
        """Writes the bundle of one round; false if its training gained nothing."""
        from asr.bundle import changed_copy, put_acoustics
        from asr.export import export
        from asr.training.adaptation.run import train

        old, labels = teacher.bundle, work / "labels.jsonl"
        guessed, speech = self._label(teacher, labels), self.material.train.total
        share = min(_MOST_GUESSED, guessed / (guessed + speech))
        sources = "" if self.sources in old.info.sources else self.sources
        config = self.recipe.config(
            old, self.material, work / "run", [(labels, share)], self.device, sources
        )
        trained = train(self.recipe, config)
        if trained is None:
            return False
        with TemporaryDirectory(dir=work) as folder, changed_copy(old.path, out) as copy:
            put_acoustics(copy, export(trained, Path(folder) / "exported", old.precision))
        return True

    def _label(self, teacher: "Recognizer", out: Path) -> float:
        """Writes a manifest of the recordings whose text is sure; their seconds."""
        from asr.batch import label_files
        from asr.corpus import importers, read_manifest
        from asr.training.adaptation.recipe import batch_seconds

        normal = teacher.bundle.normalise
        with bar("hearing") as progress:
            journal = out.with_name(f"{out.name}.journal")
            labels = label_files(teacher, self.inputs, journal, progress)
        most = batch_seconds(self.material)
        _name_unusable(labels, most)
        short = [label for label in labels if label.duration <= most]
        sure = importers.labelled(short, self.threshold, self.known, _pace(self.material.train))
        try:
            importers.write_manifest(sure, out, normal)
        except BadData as error:
            raise BadData(
                f"no recording is heard with a confidence of {self.threshold:g}, in words as quick "
                "as those of SPEECH: lower --threshold, or start from a bundle that hears better.",
                error.details,
            ) from error
        kept = [clip.duration or 0.0 for clip in read_manifest(out, normal=normal)[0]]
        typer.echo(
            f"{out.parent.name:16}{len(kept):,} of {len(labels):,} recordings kept, "
            f"{spoken(sum(kept))} of {spoken(sum(label.duration for label in labels))}"
        )
        return sum(kept)


def _start(given: Path, work: Path) -> "Bundle":
    """A copy of the bundle to start from, or the bundle of a checkpoint.

    Raises:
        BadOption: it cannot be trained further as it is.
    """
    from asr.bundle import Bundle, changed_copy
    from asr.bundle.bundle import WEIGHTS, checksum
    from asr.export import export
    from asr.text import PhoneTokenizer

    weights = given if given.is_file() else Bundle.open(given).path / WEIGHTS
    folder = work / f"start-{checksum(weights)[:8]}"
    if not folder.exists() and given.is_file():
        export(given, folder)
    elif not folder.exists():
        with changed_copy(given, folder):
            pass
    start = Bundle.open(folder)
    if isinstance(start.tokenizer, PhoneTokenizer) and start.lexicon is None:
        raise BadOption(
            f"{given} spells phones and has no lexicon to train with: give the bundle of it one by "
            "`asr lexicon add`, and start from that."
        )
    return start


def _calibrated(start: "Bundle", material: "Material", device: str) -> "Bundle":
    """The bundle with a calibration, else a confidence would be no probability."""
    from asr.bundle import put_calibration
    from asr.fitting import calibrate
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(start.path, device)
    if recognizer.options().decoder in start.info.calibration:
        return start
    with bar("calibrating") as progress:
        fitted = calibrate(recognizer, [material.test.manifest], progress=progress)
    calibrations = {decoder: result.calibration.to_dict() for decoder, result in fitted.items()}
    return put_calibration(start.path, calibrations)


def _without_texts(
    inputs: "Sequence[Input]", material: "Material", source: Path
) -> "Sequence[Input]":
    """The recordings that are neither among those with texts nor measured on."""
    from asr.corpus import read_manifest

    parts = (material.train, material.test)
    heard = {
        os.path.realpath(clip.audio) for part in parts for clip in read_manifest(part.manifest)[0]
    }
    left = [item for item in inputs if os.path.realpath(item.key) not in heard]
    if not left:
        raise BadData(f"{source} has no recording besides those with texts: give others.")
    if len(left) < len(inputs):
        known = len(inputs) - len(left)
        typer.echo(f"{source}: {known} with texts, or measured on; left out", err=True)
    return left


def _pace(part: "Part") -> tuple[float, float]:
    """The fewest and the most words per second that are usual in speech with texts."""
    import numpy as np

    from asr.corpus import read_manifest
    from asr.scripts import tokens

    clips, _ = read_manifest(part.manifest, normal=str)
    rates = [
        len(tokens(clip.text)) / seconds for clip, seconds in zip(clips, part.seconds, strict=True)
    ]
    slowest, quickest = np.percentile(rates, [_ODD, 100 - _ODD]).tolist()
    return slowest, quickest


def _name_unusable(labels: "Sequence[Label]", most: float) -> None:
    for label in labels:
        if label.error is not None:
            typer.echo(f"{label.audio}: {label.error}; left out", err=True)
        elif label.duration > most:
            reason = f"its {label.duration:.0f} s are more than a batch of {most:.0f} s"
            typer.echo(f"{label.audio}: {reason}: cut it; left out", err=True)


def _keep_settings(path: Path, settings: dict[str, Any]) -> None:
    """Writes the settings, or compares them with those that a course was begun with."""
    if not path.exists():
        write_atomically(path, json.dumps(settings, indent=2))
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    if changed := [name for name in settings if before.get(name) != settings[name]]:
        raise BadOption(
            f"{path.parent.parent} was begun with other {', '.join(changed)}: repeat the command "
            "as it was, or name another folder."
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
