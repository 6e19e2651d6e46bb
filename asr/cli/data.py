"""`asr data …`: corpora to manifests, and other work on data before training."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.extras import needs
from asr.cli.options import BundleOption, DeviceOption, LanguageOption
from asr.cli.progress import bar
from asr.counting import counted
from asr.durations import spoken
from asr.errors import BadData, BadOption

if TYPE_CHECKING:
    from asr.batch import Inputs
    from asr.corpus import Utterance
    from asr.corpus.importers import Discovery

app = typer.Typer(help="Corpora to manifests.", no_args_is_help=True, rich_markup_mode=None)

_OutFolder = Annotated[Path, typer.Argument(help="Folder for the manifests.")]
_Numbers = Annotated[
    str,
    typer.Option(
        "--numbers",
        help="Digits and signs in texts: refuse (leave the line out), spell (in words, if that is "
        "certain), or drop (where they are not spoken).",
    ),
]
_Encoding = Annotated[str, typer.Option(help="Of texts and tables: utf-8, latin-1 or another.")]
_OutFile = Annotated[Path, typer.Argument(help="Manifest to write.")]


@dataclass(frozen=True)
class _Texts:
    """How the texts of a corpus are written."""

    language: str
    numbers: str = "refuse"


@app.command()
def librispeech(
    root: Annotated[Path, typer.Argument(help="The folder LibriSpeech, or its parent.")],
    out: _OutFolder,
    subset: Annotated[
        list[str] | None, typer.Option(help="Subset to import, such as train-clean-100; else all.")
    ] = None,
    language: LanguageOption = "en",
    numbers: _Numbers = "refuse",
) -> None:
    """LibriSpeech, or Mini LibriSpeech: OUT/SUBSET.jsonl for each subset.

    Exit code 0: every line used; 1: some named and left out; 2: no subset has a good line.
    """
    from asr.corpus import importers

    there = importers.librispeech_subsets(root)
    for name in subset or []:
        if name not in there:
            raise BadData(f"{root} has no subset {name}; it has {', '.join(there)}.")
    _write_each(
        {name: importers.librispeech(root, name) for name in subset or there},
        out,
        _Texts(language, numbers),
    )


@app.command()
def commonvoice(
    root: Annotated[Path, typer.Argument(help="One language's folder, which holds train.tsv.")],
    out: _OutFolder,
    split: Annotated[
        list[str] | None, typer.Option(help="Split to import; else train, dev and test.")
    ] = None,
    language: LanguageOption = "en",
    numbers: _Numbers = "refuse",
) -> None:
    """Common Voice: OUT/SPLIT.jsonl for each split.

    Exit code 0: every line used; 1: some named and left out; 2: nothing could be done.
    """
    from asr.corpus import importers

    there = importers.common_voice_splits(root)
    for name in split or []:
        if name not in there:
            raise BadData(f"{root} has no {name}.tsv; it has {', '.join(there)}.")
    usual = [name for name in ("train", "dev", "test") if name in there]
    _write_each(
        {name: importers.common_voice(root, name) for name in split or usual},
        out,
        _Texts(language, numbers),
    )


@app.command()
def folder(
    root: Annotated[Path, typer.Argument(help="Folder of recordings, or a table of them.")],
    out: _OutFile,
    language: LanguageOption = "en",
    numbers: _Numbers = "refuse",
    encoding: _Encoding = "utf-8",
    separator: Annotated[
        str | None, typer.Option(help="Between a table's columns; else its first line tells.")
    ] = None,
) -> None:
    """A folder: texts in .txt or .lab files beside the recordings, or in csv, tsv or jsonl tables.

    So are the folders `audiofolder` of Hugging Face's datasets: `metadata.csv` or `.jsonl` with the
    column `file_name`.

    Exit code 0: every recording used; 1: some named and left out; 2: none is good.
    """
    from asr.corpus import importers

    if not root.is_dir() and not (root.is_file() and root.suffix.lower() in importers.TABLES):
        raise BadData(f"there is no folder or table {root}; name the one that has the recordings.")
    found = importers.folder(root, encoding, separator, partial(typer.echo, err=True), out)
    _finish([_written(found, out, _Texts(language, numbers))])


@app.command()
def jsonl(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    out: _OutFile,
    corpus: Annotated[
        list[str] | None, typer.Option(help="Use only lines with this `corpus`.")
    ] = None,
    language: LanguageOption = "en",
    numbers: _Numbers = "refuse",
) -> None:
    """A manifest of earshot, in another folder or with part of its lines.

    Exit code 0: every line used; 1: some named and left out; 2: none is good.
    """
    from asr.corpus import importers

    _finish([_written(importers.manifest(manifest, corpus or ()), out, _Texts(language, numbers))])


@app.command()
def split(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    out: _OutFile,
    apart: Annotated[Path, typer.Argument(help="Manifest to write of the speakers set apart.")],
    share: Annotated[
        float, typer.Option(help="Share of the speakers to set apart, about.", min=0.01, max=0.99)
    ] = 0.2,
    language: LanguageOption = "en",
) -> None:
    """Set some speakers of a manifest apart, such as for `data.test`, on which nothing is chosen.

    A hash of each speaker's name decides: no speaker is in both manifests, and nobody changes sides
    when the manifest grows. Lines without a speaker are split by their ids.
    Exit code 0: every line used; 1: some named and left out; 2: nothing could be done.
    """
    from asr.corpus import importers

    if len({path.resolve() for path in (manifest, out, apart)}) < 3:
        raise BadOption(f"{manifest}, {out} and {apart} must be three files: name others.")
    most, fewer = importers.split_by_speaker(importers.manifest(manifest), share)
    if not most or not fewer:
        raise BadOption(
            f"{manifest} has too few speakers to set {share:.0%} of them apart: change --share."
        )
    if not any(found.speaker for found in (*most, *fewer)):
        typer.echo(
            f"{manifest} names no speakers, so its lines are split by their ids: the same voices "
            "may be in both",
            err=True,
        )
    texts = _Texts(language)
    _finish([_written(most, out, texts), _written(fewer, apart, texts)])


@app.command()
def kaldi(
    root: Annotated[Path, typer.Argument(help="Data folder, with wav.scp and text.")],
    out: _OutFile,
    language: LanguageOption = "en",
    numbers: _Numbers = "refuse",
) -> None:
    """A data folder of Kaldi: wav.scp and text, and segments and utt2spk if they are there.

    Exit code 0: every line used; 1: some named and left out; 2: none is good.
    """
    from asr.corpus import importers

    _finish([_written(importers.kaldi(root), out, _Texts(language, numbers))])


@app.command()
def ljspeech(
    root: Annotated[Path, typer.Argument(help="Folder with metadata.csv and wavs.")],
    out: _OutFile,
    language: LanguageOption = "en",
    numbers: _Numbers = "refuse",
    encoding: _Encoding = "utf-8",
) -> None:
    """LJSpeech, or a corpus in its layout: metadata.csv and wavs; of two texts the one in words.

    Exit code 0: every line used; 1: some named and left out; 2: none is good.
    """
    from asr.corpus import importers

    _finish([_written(importers.ljspeech(root, encoding), out, _Texts(language, numbers))])


@app.command()
def nemo(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio_filepath` and `text`.")],
    out: _OutFile,
    language: LanguageOption = "en",
    numbers: _Numbers = "refuse",
) -> None:
    """A manifest of NeMo; `offset` and `duration` are stretches of long recordings.

    Exit code 0: every line used; 1: some named and left out; 2: none is good.
    """
    from asr.corpus import importers

    _finish([_written(importers.nemo(manifest), out, _Texts(language, numbers))])


@app.command()
def lhotse(
    cuts: Annotated[Path, typer.Argument(help="Manifest of cuts, .jsonl or .jsonl.gz.")],
    out: _OutFile,
    language: LanguageOption = "en",
    numbers: _Numbers = "refuse",
) -> None:
    """Cuts of lhotse, whose recordings are files: a line for each text and its stretch.

    Exit code 0: every text used; 1: some named and left out; 2: none is good.
    """
    from asr.corpus import importers

    _finish([_written(importers.lhotse(cuts), out, _Texts(language, numbers))])


@app.command()
def cache(
    folder: Annotated[Path, typer.Argument(help="`data.cache` of a config.")],
    remove_unused: Annotated[
        float | None,
        typer.Option(help="Remove parts that no run has read for so many days.", min=0.0),
    ] = None,
) -> None:
    """List the parts of a cache of decoded recordings, and remove old ones.

    Parts of earlier versions, which are not read any more, count as unused since they were last.
    Exit code 0: done; 2: there is no such cache.
    """
    from asr.audio import SAMPLE_RATE
    from asr.corpus.recordings.parts import read_parts

    parts = read_parts(folder)
    if not parts:
        raise BadOption(f"{folder} holds no decoded recordings; name the folder of data.cache.")
    for part in parts:
        days, size = part.unused_days, part.bytes
        seconds = float(part.measurements.samples.sum()) / SAMPLE_RATE
        removed = remove_unused is not None and days >= remove_unused
        if removed:
            part.remove()
        typer.echo(
            f"{part.path.stem}: {counted(len(part.measurements), 'clip')}, {spoken(seconds)}, "
            f"{size / 1e6:.1f} MB, read {counted(round(days), 'day')} ago"
            + ("" if len(part.names) else ", of an earlier version")
            + (", removed" if removed else "")
        )


@app.command("pseudo-label")
def pseudo_label(
    source: Annotated[Path, typer.Argument(help="Manifest of clips (`audio`), or a folder.")],
    out: _OutFile,
    threshold: Annotated[
        float, typer.Option(help="Lowest confidence of a line that is kept.", min=0.0, max=1.0)
    ] = 0.0,
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Transcribe clips without text into a manifest, with confidence, for training.

    A journal (OUT.journal) keeps finished clips: the same command resumes where it was stopped, and
    with another threshold transcribes nothing twice.
    Exit code 0: every clip transcribed; 1: some could not be read; 2: no line is good.
    """
    from asr.batch import label_files
    from asr.corpus import importers
    from asr.runtime import Recognizer

    inputs, known = recordings_of(source)
    recognizer = Recognizer.load(bundle, device)
    journal = out.with_name(f"{out.name}.journal")
    with bar("hearing") as progress:
        labels = label_files(recognizer, inputs, journal, progress)
    if all(label.error for label in labels):
        journal.unlink(missing_ok=True)
    whole = _written(
        importers.labelled(labels, threshold, known), out, _Texts(recognizer.bundle.info.language)
    )
    _finish([whole or not any(label.error for label in labels)])


@app.command()
def pronounce(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    out: _OutFile,
    lexicon: Annotated[
        Path | None,
        typer.Option(help="Pronunciations, one `word<TAB>phones` per line; else the bundle's."),
    ] = None,
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
) -> None:
    """A manifest with `phones`: the pronunciation in a lexicon with which each word was spoken.

    The bundle, which must have a phone head, chooses by forced alignment. Training on OUT learns
    these pronunciations instead of each word's first one.
    Exit code 0: every line used; 1: some named and left out; 2: none is good.
    """
    from asr.corpus import importers
    from asr.evaluation.pronounce import pronounced
    from asr.runtime import Recognizer
    from asr.text import PhoneTokenizer, Pronouncer
    from asr.text.pronunciations import Pronunciations, WithGuesses

    recognizer = Recognizer.load(bundle, device)
    own, tokenizer = recognizer.bundle, recognizer.bundle.tokenizer
    if not isinstance(tokenizer, PhoneTokenizer):
        raise BadOption(f"{own.path} spells no phones; give a bundle that does.")
    if lexicon is not None:
        pronouncer = Pronouncer(tokenizer, Pronunciations.load(lexicon, tokenizer.phones))
    elif own.lexicon is not None:
        pronouncer = Pronouncer(tokenizer, WithGuesses.load(own.lexicon, own.g2p))
    else:
        raise BadOption(f"{own.path} has no lexicon; give one with --lexicon.")
    clips = pronounced(importers.manifest(manifest), recognizer, pronouncer)
    _finish([_written(clips, out, _Texts(own.info.language))])


@app.command()
def shards(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    out: Annotated[Path, typer.Argument(help="Folder to write, which must not exist yet.")],
    size: Annotated[int, typer.Option(help="Clips in a shard.", min=1)] = 500,
    first: Annotated[
        int, typer.Option(help="Number of the first shard, to write a corpus in parts.", min=0)
    ] = 0,
) -> None:
    """A corpus as shards (Lhotse's Shar): few large files, for data larger than a disk.

    `data.train` of a config may name the folder, or the address of its files, such as
    `s3://bucket/train/{000000..000280}`.
    Exit code 0: every line used; 1: some named and left out; 2: nothing could be done.
    """
    from asr.corpus import check_ids, check_lines, explain, read_utterances

    with needs("train"):
        from asr.corpus.shards.writing import write_shards

        utterances, findings = read_utterances(manifest)
        findings += check_lines(utterances)
        bad = {finding.line for finding in findings}
        good = [utterance for utterance in utterances if utterance.line not in bad]
        repeated = list(check_ids(good))
        bad = {finding.line for finding in repeated}
        good = [utterance for utterance in good if utterance.line not in bad]
        findings += repeated
        with bar("writing") as progress:
            written = write_shards(good, out, size, first, progress)
    findings += written.findings
    if findings:
        typer.echo(explain(manifest, findings), err=True)
    last = first + written.shards - 1
    typer.echo(f"{out}: {counted(written.clips, 'clip')} in shards {{{first:06d}..{last:06d}}}")
    _finish([not findings])


@app.command()
def hear(
    config: Annotated[Path, typer.Argument(help="Config of `asr fit`, with `model.augment`.")],
    out: Annotated[Path, typer.Argument(help="Folder for the audio and the picture.")],
    root: Annotated[
        str | None, typer.Option(help="The corpus folder, in place of the config's data.root.")
    ] = None,
    clips: Annotated[int, typer.Option(help="Number of clips.", min=1)] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 1,
) -> None:
    """Examples of augmented training clips: the audio before and after, and a picture.

    Exit code 0: done; 2: nothing could be done.
    """
    with needs("train"):
        from asr.training.command import plan
        from asr.training.preview import PICTURE, preview, write_previews

        if not config.is_file():
            raise BadOption(f"there is no config {config}; name a YAML file of `asr fit`.")
        given = [] if root is None else ["--data.root", root]
        module, speech = plan.built(["--config", str(config), *given])
        examples = preview(module, speech, clips, seed)
        write_previews(examples, out)
    for number, example in enumerate(examples, start=1):
        typer.echo(f"{out}/{number}-heard.wav: {example.utterance.text}")
    typer.echo(f"{out}/{PICTURE}")


def recordings_of(source: Path) -> "tuple[Inputs, dict[str, Utterance]]":
    """The recordings of a folder or of a manifest without texts, and what the manifest says of
    each, by its absolute path.

    Raises:
        BadData: the manifest cannot be read.
        BadOption: it names a stretch of a recording.
    """
    from asr.batch import list_inputs
    from asr.corpus import read_recordings

    clips = [] if source.is_dir() else read_recordings(source)
    if part := next((clip for clip in clips if clip.is_part), None):
        raise BadOption(
            f"{source}:{part.line} is a stretch of {part.audio}, and whole recordings are "
            "transcribed here: cut it out first."
        )
    known = {os.path.abspath(clip.audio): clip for clip in clips}
    return list_inputs([source] if source.is_dir() else list(known)), known


def _write_each(parts: "dict[str, Iterator[Discovery]]", out: Path, texts: "_Texts") -> None:
    """Writes a manifest for each part; if none has a good line, raises the error of the last."""
    whole: list[bool] = []
    for name, discoveries in parts.items():
        try:
            whole.append(_written(discoveries, out / f"{name}.jsonl", texts))
        except BadData as error:
            if name == list(parts)[-1] and not whole:
                raise
            typer.echo(f"asr: {error}", err=True)
    _finish([len(whole) == len(parts), *whole])


def _written(discoveries: "Iterable[Discovery]", out: Path, texts: "_Texts") -> bool:
    """Writes a manifest and prints the result; returns whether every line was used."""
    from asr.corpus.importers import write_manifest
    from asr.text import PLAIN, normaliser
    from asr.text.languages import language_code
    from asr.text.numbers import read_numbers

    language = language_code(texts.language)
    with needs("numbers"):
        numbers = read_numbers(texts.numbers, language)
    result = write_manifest(discoveries, out, normaliser(PLAIN, language), numbers)
    for problem in result.problems:
        typer.echo(f"{problem}; left out", err=True)
    if texts.numbers == "drop" and result.changed:
        typer.echo(f"{out}: texts that lost digits or signs: {result.changed}", err=True)
    left = f", {len(result.problems)} left out" if result.problems else ""
    typer.echo(f"{out}: {counted(result.lines, 'line')}{left}")
    return not result.problems


def _finish(whole: list[bool]) -> None:
    if not all(whole):
        raise typer.Exit(1)
