"""`asr data …`: corpora to manifests, and what else is done with data before training."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.extras import needs
from asr.cli.options import BundleOption, DeviceOption
from asr.cli.progress import bar
from asr.errors import BadData, BadOption

if TYPE_CHECKING:
    from asr.corpus.importers import Found

app = typer.Typer(help="Corpora to manifests.", no_args_is_help=True, rich_markup_mode=None)

_OutFolder = Annotated[Path, typer.Argument(help="Folder for the manifests.")]
_OutFile = Annotated[Path, typer.Argument(help="Manifest to write.")]


@app.command()
def librispeech(
    root: Annotated[Path, typer.Argument(help="The folder LibriSpeech, or the one that holds it.")],
    out: _OutFolder,
    subset: Annotated[
        list[str] | None, typer.Option(help="Subset to take, as train-clean-100; else all there.")
    ] = None,
) -> None:
    """LibriSpeech, or Mini LibriSpeech: OUT/SUBSET.jsonl for each subset.

    Exit code 0: every line taken; 1: some named and left out; 2: no subset has a good line.
    """
    from asr.corpus import importers

    there = importers.librispeech_subsets(root)
    for name in subset or []:
        if name not in there:
            raise BadData(f"{root} has no subset {name}; it has {', '.join(there)}.")
    _write_each({name: importers.librispeech(root, name) for name in subset or there}, out)


@app.command()
def commonvoice(
    root: Annotated[Path, typer.Argument(help="One language's folder, which holds train.tsv.")],
    out: _OutFolder,
    split: Annotated[
        list[str] | None, typer.Option(help="Split to take, as train; else train, dev, test.")
    ] = None,
) -> None:
    """Common Voice: OUT/SPLIT.jsonl for each split.

    Exit code 0: every line taken; 1: some named and left out; 2: nothing could be done.
    """
    from asr.corpus import importers

    there = importers.common_voice_splits(root)
    for name in split or []:
        if name not in there:
            raise BadData(f"{root} has no {name}.tsv; it has {', '.join(there)}.")
    usual = [name for name in ("train", "dev", "test") if name in there]
    _write_each({name: importers.common_voice(root, name) for name in split or usual}, out)


@app.command()
def folder(
    root: Annotated[Path, typer.Argument(help="Folder of recordings.")], out: _OutFile
) -> None:
    """A folder: texts in .txt or .lab files beside the recordings, or in csv, tsv or jsonl tables.

    Exit code 0: every recording taken; 1: some named and left out; 2: none is good.
    """
    from asr.corpus import importers

    if not root.is_dir():
        raise BadData(f"there is no folder {root}; name the one that holds the recordings.")
    _finish([_written(importers.folder(root), out)])


@app.command()
def jsonl(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    out: _OutFile,
    corpus: Annotated[
        list[str] | None, typer.Option(help="Take only lines whose `corpus` is this.")
    ] = None,
) -> None:
    """A manifest of ours, at another place or with part of its lines.

    Exit code 0: every line taken; 1: some named and left out; 2: none is good.
    """
    from asr.corpus import importers

    _finish([_written(importers.manifest(manifest, corpus or ()), out)])


@app.command("pseudo-label")
def pseudo_label(
    source: Annotated[Path, typer.Argument(help="Manifest of clips (`audio`), or a folder.")],
    out: _OutFile,
    threshold: Annotated[
        float, typer.Option(help="Least confidence of a line that is kept.", min=0.0, max=1.0)
    ] = 0.0,
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Write down what a bundle hears in clips without text, with its confidence, as a manifest.

    A journal (OUT.journal) keeps what is done: the same command goes on where it was stopped, and
    with another threshold hears nothing twice.
    Exit code 0: every clip heard; 1: some could not be read; 2: no line is good.
    """
    from asr.batch import label_files, list_inputs
    from asr.corpus import importers, read_recordings
    from asr.runtime import Recognizer

    clips = [] if source.is_dir() else read_recordings(source)
    known = {os.path.abspath(clip.audio): clip for clip in clips}
    inputs = list_inputs([source] if source.is_dir() else list(known))
    recognizer = Recognizer.load(bundle, device)
    journal = out.with_name(f"{out.name}.journal")
    with bar("hearing") as progress:
        labels = label_files(recognizer, inputs, journal, progress)
    if all(label.error for label in labels):
        journal.unlink(missing_ok=True)
    whole = _written(importers.labelled(labels, threshold, known), out)
    _finish([whole or not any(label.error for label in labels)])


@app.command()
def shards(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    out: Annotated[Path, typer.Argument(help="Folder to write, which is not there yet.")],
    size: Annotated[int, typer.Option(help="Clips in a shard.", min=1)] = 500,
    first: Annotated[
        int, typer.Option(help="Number of the first shard: the corpus may come in parts.", min=0)
    ] = 0,
) -> None:
    """A corpus as shards (Lhotse's Shar): few large files, for data that outgrows a disk.

    `data.train` of a config may name the folder, or where its files were copied to, as
    `s3://bucket/train/{000000..000280}`.
    Exit code 0: every line taken; 1: some named and left out; 2: nothing could be done.
    """
    from asr.corpus import check_lines, explain, read_utterances

    with needs("train"):
        from asr.corpus.sharding import write_shards

        utterances, findings = read_utterances(manifest)
        findings += check_lines(utterances)
        bad = {finding.line for finding in findings}
        good = [utterance for utterance in utterances if utterance.line not in bad]
        with bar("writing") as progress:
            written = write_shards(good, out, size, first, progress)
    findings += written.findings
    if findings:
        typer.echo(explain(manifest, findings), err=True)
    last = first + written.shards - 1
    typer.echo(f"{out}: {written.clips} clips in shards {{{first:06d}..{last:06d}}}")
    _finish([not findings])


@app.command()
def hear(
    config: Annotated[Path, typer.Argument(help="Config of `asr fit`, with `model.augment`.")],
    out: Annotated[Path, typer.Argument(help="Folder for the sound and the picture.")],
    root: Annotated[
        str | None, typer.Option(help="The corpus folder, in place of the config's data.root.")
    ] = None,
    clips: Annotated[int, typer.Option(help="Clips to take.", min=1)] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 1,
) -> None:
    """Examples of what training hears once augmentation is on: before and after, and a picture.

    Exit code 0: done; 2: nothing could be done.
    """
    with needs("train"):
        from asr.training import fit
        from asr.training.hear import PICTURE, write_heard
        from asr.training.hear import hear as heard

        if not config.is_file():
            raise BadOption(f"there is no config {config}; name a YAML file of `asr fit`.")
        given = [] if root is None else ["--data.root", root]
        module, speech = fit.built(["--config", str(config), *given])
        examples = heard(module, speech, clips, seed)
        write_heard(examples, out)
    for number, example in enumerate(examples, start=1):
        typer.echo(f"{out}/{number}-heard.wav: {example.utterance.text}")
    typer.echo(f"{out}/{PICTURE}")


def _write_each(parts: "dict[str, Iterator[Found]]", out: Path) -> None:
    """A manifest for each part; where none has a good line, the error of the last."""
    whole: list[bool] = []
    for name, found in parts.items():
        try:
            whole.append(_written(found, out / f"{name}.jsonl"))
        except BadData as error:
            if name == list(parts)[-1] and not whole:
                raise
            typer.echo(f"asr: {error}", err=True)
    _finish([len(whole) == len(parts), *whole])


def _written(found: "Iterable[Found]", out: Path) -> bool:
    """Write a manifest and say what became of it; whether every line was taken."""
    from asr.corpus.importers import write_manifest

    result = write_manifest(found, out)
    for problem in result.problems:
        typer.echo(f"{problem}; left out", err=True)
    left = f", {len(result.problems)} left out" if result.problems else ""
    typer.echo(f"{out}: {result.lines} lines{left}")
    return not result.problems


def _finish(whole: list[bool]) -> None:
    if not all(whole):
        raise typer.Exit(1)
