"""`asr check MANIFEST`: what is wrong with a manifest, line by line, before any training."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.extras import needs
from asr.cli.options import BundleOption
from asr.cli.progress import bar

if TYPE_CHECKING:
    from asr.corpus import Survey
    from asr.model import ModelConfig
    from asr.text import Tokenizer


def check(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    config: Annotated[
        Path | None, typer.Option(help="Config of `asr fit`: its units and layers.")
    ] = None,
    bundle: BundleOption = None,
    dev: Annotated[
        Path | None, typer.Option(help="Manifest whose speakers must not be trained on.")
    ] = None,
    write_clean: Annotated[
        Path | None, typer.Option(help="Write the lines without errors to this manifest.")
    ] = None,
) -> None:
    """Read every line and every recording and name what training could not use.

    Errors keep a line out; warnings may be meant so. The rule for what CTC can spell is exact for
    the layers of the config, or else of the bundle. Exit code 0: no errors; 1: some; 2: no line
    can be used.
    """
    from asr.corpus import explain, survey

    network, tokenizer = _from_config(config, manifest) if config else _from_bundle(bundle)
    with bar("reading") as progress:
        found = survey(
            manifest,
            tokenizer,
            progress,
            frames=network.frames,
            unheard=dev,
        )
    if found.findings:
        typer.echo(explain(manifest, found.findings))
    typer.echo(_table(found))
    if not found.usable:
        raise typer.Exit(2)
    if write_clean:
        _write(found, manifest, write_clean)
    if found.errors:
        raise typer.Exit(1)


def _from_bundle(path: Path | None) -> "tuple[ModelConfig, Tokenizer]":
    from asr.bundle import Bundle, default_bundle

    opened = Bundle.open(path or default_bundle())
    return opened.model, opened.tokenizer


def _from_config(path: Path, manifest: Path) -> "tuple[ModelConfig, Tokenizer]":
    with needs("train"):
        from asr.training.fit import read_config
    from asr.corpus import read_manifest

    network, units = read_config(path)
    return network, units.tokenizer(u.text for u in read_manifest(manifest)[0] if u.text)


def _table(found: "Survey") -> str:
    from asr.corpus import hours_by_kind

    kept = sum(found.hours[utterance.line] for utterance in found.usable)
    rows = [("kept", len(found.usable), kept)]
    dropped = hours_by_kind(found.errors, found.hours)
    rows += [(kind, *counts) for kind, counts in sorted(dropped.items())]
    lines = [f"{'':20} {'lines':>8} {'hours':>9}"]
    lines += [f"{name:20} {count:8} {hours:9.3f}" for name, count, hours in rows]
    return "\n".join(lines)


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
