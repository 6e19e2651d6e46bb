"""Self-training: a bundle labels speech without texts, and what it is sure of teaches the next.

Pseudo-labels, filtered and trained on in rounds (Kahn et al., "Self-training for end-to-end speech
recognition", 2020).
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np

from asr.adaptation.material import Material, Part
from asr.adaptation.recipe import Recipe, batch_seconds
from asr.adaptation.run import train
from asr.batch import Input, Label, label_files
from asr.bundle import Bundle, changed_copy, put_acoustics, put_calibration
from asr.bundle.bundle import WEIGHTS, checksum
from asr.corpus import Utterance, importers, read_manifest
from asr.corpus.recordings.cache import Progress
from asr.errors import BadData, BadOption
from asr.evaluation import Score, evaluate
from asr.export import export
from asr.files import write_atomically
from asr.fitting import calibrate
from asr.runtime import Recognizer
from asr.scripts import tokens
from asr.text import PhoneTokenizer

Watch: TypeAlias = Callable[[str], AbstractContextManager[Progress]]
"""From the name of what is done to what is told of its progress."""

_WORK, _SETTINGS = "work", "settings.json"
_MOST_GUESSED = 0.5
"""Share of the batches with guessed texts, however many there are."""
_ODD = 0.5
"""Per cent of the texts at either end, by words per second, that do not say what is usual."""


@dataclass(frozen=True)
class Kept:
    """What one round learns from, besides the speech with texts."""

    manifest: Path
    """Named by the folder of the round."""
    clips: int
    seconds: float
    of_clips: int
    of_seconds: float
    left_out: tuple[str, ...]
    """A sentence for each recording that could not be used."""


@dataclass(frozen=True)
class Round:
    """What one round gained on the speech to test on."""

    bundle: Path
    before: Score
    after: Score

    @property
    def gained(self) -> bool:
        """Whether its bundle makes fewer errors than the one before it."""
        return self.after.errors < self.before.errors


@dataclass(frozen=True)
class Course:
    """What all rounds have in common."""

    out: Path
    """The folder of the bundles, and of the work on them."""
    start: Bundle
    material: Material
    inputs: Sequence[Input]
    """The recordings without texts."""
    known: Mapping[str, Utterance]
    """What is known of them besides, by absolute path."""
    threshold: float
    """Lowest confidence of a text to learn from."""
    recipe: Recipe
    sources: str
    device: str
    watch: Watch = field(repr=False)

    def begin(self) -> None:
        """Keeps the settings, or compares them with those that the folder was begun with.

        Raises:
            BadOption: they differ.
        """
        _keep_settings(work_of(self.out) / _SETTINGS, self._settings())

    def rounds(self, number: int, tell: Callable[[Kept], None]) -> Iterator[Round]:
        """The rounds in order, each when it is done; the last one that begins may gain nothing.

        Args:
            tell: called with what a round learns from, before it is trained.

        Raises:
            BadData: no text is sure enough to learn from.
        """
        teacher = self._calibrated()
        before = self._score(teacher)
        for name in (f"round-{count}" for count in range(1, number + 1)):
            bundle = self.out / name
            if not bundle.exists():
                tell(kept := self._label(teacher, name))
                if not self._learn(teacher.bundle, kept, bundle):
                    return
            teacher = Recognizer.load(bundle, self.device)
            done = Round(bundle, before, self._score(teacher))
            yield done
            if not done.gained:
                return
            before = done.after

    def _settings(self) -> dict[str, Any]:
        """What decides the results, in words or as digests."""
        paths = "\n".join(item.key for item in self.inputs)
        return {
            "SPEECH": _digest(self.material.train.manifest.read_bytes()),
            "UNHEARD": _digest(os.fsencode(paths)),
            "--dev": _digest(self.material.test.manifest.read_bytes()),
            "--bundle": self.start.path.name,
            "--threshold": self.threshold,
            "--epochs": self.recipe.epochs,
        }

    def _calibrated(self) -> Recognizer:
        """The start, calibrated: else a confidence would be no probability."""
        recognizer = Recognizer.load(self.start.path, self.device)
        if recognizer.options().decoder in self.start.info.calibration:
            return recognizer
        with self.watch("calibrating") as progress:
            fitted = calibrate(recognizer, [self.material.test.manifest], progress=progress)
        calibrations = {decoder: result.calibration.to_dict() for decoder, result in fitted.items()}
        return Recognizer.load(put_calibration(self.start.path, calibrations).path, self.device)

    def _score(self, recognizer: Recognizer) -> Score:
        with self.watch("evaluating") as progress:
            return evaluate(recognizer, self.material.test.manifest, progress).score

    def _label(self, teacher: Recognizer, name: str) -> Kept:
        """Writes a manifest of the recordings whose text is sure."""
        out, normal = work_of(self.out) / name / "labels.jsonl", teacher.bundle.normalise
        with self.watch("hearing") as progress:
            journal = out.with_name(f"{out.name}.journal")
            labels = label_files(teacher, self.inputs, journal, progress)
        most = batch_seconds(self.material)
        short = [label for label in labels if label.duration <= most]
        unusable = tuple(_unusable(labels, most))
        sure = importers.labelled(short, self.threshold, self.known, _pace(self.material.train))
        try:
            importers.write_manifest(sure, out, normal)
        except BadData as error:
            raise BadData(
                f"no recording is heard with a confidence of {self.threshold:g}, in words as quick "
                "as those of SPEECH: lower --threshold, or start from a bundle that hears better.",
                [*unusable, *error.details],
            ) from error
        kept = [clip.duration or 0.0 for clip in read_manifest(out, normal=normal)[0]]
        heard = sum(label.duration for label in labels)
        return Kept(out, len(kept), sum(kept), len(labels), heard, unusable)

    def _learn(self, old: Bundle, kept: Kept, out: Path) -> bool:
        """Writes the bundle of one round; false if its training gained nothing."""
        labels, speech = kept.manifest, self.material.train.total
        share = min(_MOST_GUESSED, kept.seconds / (kept.seconds + speech))
        sources = "" if self.sources in old.info.sources else self.sources
        config = self.recipe.config(
            old, self.material, labels.parent / "run", [(labels, share)], self.device, sources
        )
        trained = train(self.recipe, config)
        if trained is None:
            return False
        with (
            TemporaryDirectory(dir=labels.parent) as folder,
            changed_copy(old.path, out) as copy,
        ):
            put_acoustics(copy, export(trained, Path(folder) / "exported", old.precision))
        return True


def work_of(out: Path) -> Path:
    """The folder of the work on the rounds in `out`.

    Raises:
        BadOption: `out` is something else.
    """
    work = out / _WORK
    if out.exists() and not work.is_dir():
        raise BadOption(f"{out} is there already and has no self-training: name another folder.")
    return work


def start_from(out: Path, given: Path) -> Bundle:
    """A copy, in `out`, of the bundle to start from, or the bundle of a checkpoint.

    Raises:
        BadOption: it cannot be trained further as it is.
    """
    weights = given if given.is_file() else Bundle.open(given).path / WEIGHTS
    folder = work_of(out) / f"start-{checksum(weights)[:8]}"
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


def without_texts(inputs: Sequence[Input], material: Material, source: Path) -> Sequence[Input]:
    """The recordings that are neither among those with texts nor measured on.

    Raises:
        BadData: none is left.
    """
    parts = (material.train, material.test)
    heard = {
        os.path.realpath(clip.audio) for part in parts for clip in read_manifest(part.manifest)[0]
    }
    left = [item for item in inputs if os.path.realpath(item.key) not in heard]
    if not left:
        raise BadData(f"{source} has no recording besides those with texts: give others.")
    return left


def _pace(part: Part) -> tuple[float, float]:
    """The fewest and the most words per second that are usual in speech with texts."""
    clips, _ = read_manifest(part.manifest, normal=str)
    rates = [
        len(tokens(clip.text)) / seconds for clip, seconds in zip(clips, part.seconds, strict=True)
    ]
    slowest, quickest = np.percentile(rates, [_ODD, 100 - _ODD]).tolist()
    return slowest, quickest


def _unusable(labels: Sequence[Label], most: float) -> Iterator[str]:
    for label in labels:
        if label.error is not None:
            yield f"{label.audio}: {label.error}"
        elif label.duration > most:
            reason = f"its {label.duration:.0f} s are more than a batch of {most:.0f} s"
            yield f"{label.audio}: {reason}: cut it"


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
