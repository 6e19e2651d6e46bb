"""`asr check MANIFEST`: what is wrong with a manifest, line by line, before any training."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.extras import needs
from asr.cli.options import BundleOption
from asr.cli.progress import bar
from asr.errors import BadOption

if TYPE_CHECKING:
    from asr.corpus import Source, Survey
    from asr.model import ModelConfig
    from asr.text import Tokenizer


def check(
    manifest: Annotated[
        str, typer.Argument(help="JSON lines with `audio` and `text`; or shards, by their folder.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="Config of `asr fit`: its units and layers.")
    ] = None,
    bundle: BundleOption = None,
    dev: Annotated[
        Path | None,
        typer.Option(
            help="Manifest whose speakers must not be trained on; else that of the config."
        ),
    ] = None,
    write_clean: Annotated[
        Path | None, typer.Option(help="Write the lines without errors to this manifest.")
    ] = None,
) -> None:
    """Read every line and every recording and name what training could not use.

    Errors keep a line out; warnings may be meant so. The rule for what CTC can spell is exact for
    the layers of the config, or else of the bundle. What a recording measures is remembered, so
    that a second reading decodes only what has changed. Exit code 0: no errors; 1: some; 2: no
    line can be used.
    """
    from asr.corpus import explain, locate, measures_file, survey

    source = locate(Path(), manifest)
    if write_clean and (isinstance(source, str) or source.is_dir()):
        raise BadOption("--write-clean writes a manifest, which shards have none: leave it out.")
    unheard: Path | str | None = dev
    if config:
        network, tokenizer, known = _from_config(config, source)
        unheard = dev or known
    else:
        network, tokenizer = _from_bundle(bundle)
    with bar("reading") as progress:
        found = survey(
            source,
            tokenizer,
            progress,
            frames=network.frames,
            unheard=unheard,
            measures=measures_file(),
        )
    if found.findings:
        typer.echo(explain(source, found.findings))
    typer.echo(found.table())
    if not found.usable:
        raise typer.Exit(2)
    if write_clean:
        _write(found, Path(manifest), write_clean)
    if found.errors:
        raise typer.Exit(1)


def _from_bundle(path: Path | None) -> "tuple[ModelConfig, Tokenizer]":
    from asr.bundle import Bundle, default_bundle

    opened = Bundle.open(path or default_bundle())
    return opened.model, opened.tokenizer


def _from_config(path: Path, source: "Source") -> "tuple[ModelConfig, Tokenizer, Source | None]":
    with needs("train"):
        from asr.training.fit import read_config
        from asr.training.folder import ROOT_VARIABLE, corpus_folder
    from asr.corpus import locate, read_utterances

    plan = read_config(path)
    tokenizer = plan.units.tokenizer(u.text for u in read_utterances(source)[0] if u.text)
    given = plan.root or os.environ.get(ROOT_VARIABLE)
    dev = locate(corpus_folder(plan.root) if given else Path(source).parent, plan.dev)
    if isinstance(dev, Path) and not dev.exists():
        typer.echo(f"{dev}, the config's data.dev, is not there: no speakers compared", err=True)
        return plan.network, tokenizer, None
    same = Path(dev).resolve() == Path(source).resolve()
    return plan.network, tokenizer, None if same else dev


def _write(found: "Survey", manifest: Path, out: Path) -> None:
    """The usable lines as they stand, but for `audio`, which is relative to the new place."""
    from asr.batch import write_atomically

    with manifest.open(encoding="utf-8") as file:  # not splitlines: it breaks at other signs too
        lines = list(file)
    kept = []
    for utterance in found.usable:
        values = json.loads(lines[utterance.line - 1])
        values["audio"] = os.path.relpath(utterance.audio.resolve(), out.parent.resolve())
        kept.append(json.dumps(values, ensure_ascii=False))
    write_atomically(out, "\n".join(kept) + "\n")
