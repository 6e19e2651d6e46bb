"""What a model is adapted to: recordings with texts, checked and cut into two parts."""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.audio import SAMPLE_RATE
from asr.bundle import Bundle
from asr.corpus import Survey, Utterance, importers, read_lines, survey
from asr.corpus.importers import Discovery
from asr.corpus.recordings.cache import Progress
from asr.counting import counted
from asr.errors import BadData
from asr.text import Normaliser, PhoneTokenizer, Pronouncer, without_accents
from asr.text.languages import language_name
from asr.text.pronunciations import WithGuesses

LEAST_SECONDS = 30.0
"""Of speech to learn from."""
_TEST_SHARE = 0.2
_NAMED = 20  # of what cannot be used, where too little is left
_TEST_SECONDS = (60.0, 300.0)
"""At least, unless that is more than a third of the speech; and at most."""


@dataclass(frozen=True)
class Part:
    """A manifest in the folder of an adaptation."""

    manifest: Path
    seconds: tuple[float, ...]
    """Of each clip."""

    @property
    def total(self) -> float:
        """Seconds of speech."""
        return sum(self.seconds)


@dataclass(frozen=True)
class Material:
    """The parts of some speech."""

    train: Part
    test: Part
    left_out: tuple[str, ...]
    """A sentence for each item that cannot be used."""
    repeated: int = 0
    """Clips to test on that are learnt from too."""
    bare: frozenset[str] = frozenset()
    """Letters of the texts that are learnt without their accents."""


def gather(
    source: Path, folder: Path, bundle: Bundle, progress: Progress, test: Path | None = None
) -> Material:
    """Speech that the bundle may be adapted to, as manifests in `folder`.

    A part is cut off to test on, by the texts: what is said in one part is not said in the other,
    and the order of the recordings changes nothing.

    Args:
        source: a folder as `asr data folder` takes it, a table, or a manifest.
        test: speech to test on, as `source`; then nothing is cut off.

    Raises:
        BadData: it cannot be read, or there is too little of it.
    """
    speech, repeated = _Speech.read(source, folder / "speech.jsonl", bundle, progress), 0
    if test is None:
        chosen = _cut_off(speech.usable, speech.seconds)
        left = set(range(len(speech.usable))) - chosen
        train = speech.part(left, folder / "train.jsonl")
        cut = speech.part(chosen, folder / "test.jsonl")
        problems, bare = speech.problems, speech.bare
    else:
        other = _Speech.read(test, folder / "other.jsonl", bundle, progress)
        train = speech.part(range(len(speech.usable)), folder / "train.jsonl")
        cut = other.part(range(len(other.usable)), folder / "test.jsonl")
        problems, bare = speech.problems + other.problems, speech.bare | other.bare
        repeated = len(speech.sounds & other.sounds)
    if train.total < LEAST_SECONDS or not cut.seconds:
        raise BadData(
            f"{source} has {sum(speech.seconds):.0f} s of speech with "
            f"{counted(len(speech.texts), 'text')}, "
            f"too little to learn from and to test on: give {LEAST_SECONDS:.0f} s to learn from at "
            "least, better five minutes, and some more sentences.",
            problems[:_NAMED],
        )
    return Material(train, cut, problems, repeated, bare)


@dataclass(frozen=True)
class _Speech:
    """The usable lines of a source."""

    lines: dict[int, str]
    """Of its manifest, by their numbers."""
    usable: Sequence[Utterance]
    seconds: Sequence[float]
    """Of each usable line."""
    problems: tuple[str, ...]
    bare: frozenset[str]
    """As of a `Material`."""

    @classmethod
    def read(cls, source: Path, manifest: Path, bundle: Bundle, progress: Progress) -> "_Speech":
        """The lines of a source, of which `manifest` is made."""
        bare = set[str]()
        imported = _imported(source, manifest, _noting(bundle, bare))
        surveyed = survey(
            manifest,
            bundle.tokenizer,
            progress,
            frames=bundle.model.frames,
            pronounce=_pronouncer(bundle),
            cache=manifest.parent / CACHE,
            normal=bundle.spelling,
        )
        lines = dict(read_lines(manifest))
        seconds = [length / SAMPLE_RATE for length in surveyed.lengths.tolist()]
        problems = imported + tuple(_faults(surveyed, lines, manifest.parent, bundle))
        return cls(lines, surveyed.usable, seconds, problems, frozenset(bare))

    @property
    def texts(self) -> set[str]:
        """The different texts."""
        return {utterance.text for utterance in self.usable}

    @property
    def sounds(self) -> set[tuple[str, float]]:
        """The different stretches of recordings."""
        return {(os.path.realpath(clip.audio), clip.start) for clip in self.usable}

    def part(self, indices: Collection[int], manifest: Path) -> Part:
        """A manifest of some of the usable lines."""
        chosen = sorted(indices)
        text = "".join(self.lines[self.usable[index].line] for index in chosen)
        manifest.write_text(text, encoding="utf-8")
        return Part(manifest, tuple(self.seconds[index] for index in chosen))


CACHE = "sounds"
"""The folder of decoded recordings, within that of an adaptation."""


def _noting(bundle: Bundle, bare: set[str]) -> Normaliser:
    """The bundle's spelling, which adds the letters that lose their accents to `bare`."""
    normal, spell = bundle.normalise, without_accents(bundle.tokenizer)

    def spelled(text: str) -> str:
        accented = normal(text)
        plain = spell(accented)
        bare.update(set(accented).difference(plain))
        return plain

    return spelled


def _imported(source: Path, manifest: Path, normal: Normaliser) -> tuple[str, ...]:
    """Writes the manifest of a source; a sentence for each item that is left out."""
    try:
        return importers.write_manifest(_discovered(source), manifest, normal).problems
    except BadData as error:
        if not error.details:
            raise
        raise BadData(
            f"{source} has no recording with a text that can be used: give each recording its text "
            "in a file beside it, or a table, or a manifest.",
            error.details,
        ) from error


def _discovered(source: Path) -> Iterator[Discovery]:
    if source.suffix == ".jsonl" and source.is_file():
        return importers.manifest(source)
    if not source.exists():
        raise BadData(f"there is no {source}; name a folder of recordings, a table or a manifest.")
    return importers.folder(source)


def _faults(
    surveyed: Survey, lines: Mapping[int, str], folder: Path, bundle: Bundle
) -> Iterator[str]:
    """What `asr fit` would leave out."""
    for finding in surveyed.errors:
        there = folder / json.loads(lines[finding.line])["audio"]
        audio = os.path.realpath(there)  # a link on the way makes `..` lead elsewhere
        reason = finding.reason.replace(str(there), audio)
        if finding.kind == "unknown characters":
            reason += f": the bundle's language is {language_name(bundle.info.language)}"
        yield reason if audio in reason else f"{audio}: {reason}"


def _pronouncer(bundle: Bundle) -> Pronouncer | None:
    if not isinstance(bundle.tokenizer, PhoneTokenizer) or bundle.lexicon is None:
        return None
    return Pronouncer(bundle.tokenizer, WithGuesses.load(bundle.lexicon, bundle.g2p))


def _cut_off(utterances: Sequence[Utterance], seconds: Sequence[float]) -> set[int]:
    """The utterances to test on: whole texts, in an order that depends on the texts alone."""
    total = sum(seconds)
    least, most = _TEST_SECONDS
    wanted = min(max(_TEST_SHARE * total, least), most, total / 3)
    by_text: dict[str, list[int]] = {}
    for index, utterance in enumerate(utterances):
        by_text.setdefault(utterance.text, []).append(index)
    chosen: set[int] = set()
    for text in sorted(by_text, key=_mixed):
        if sum(seconds[index] for index in chosen) >= wanted:
            break
        chosen.update(by_text[text])
    return chosen


def _mixed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
