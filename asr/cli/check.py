"""`asr check MANIFEST`: the faults of a manifest, line by line, before training."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.extras import needs
from asr.cli.options import BundleOption
from asr.cli.progress import bar
from asr.errors import BadOption
from asr.files import write_atomically

if TYPE_CHECKING:
    from asr.corpus import Source, Survey
    from asr.model import ModelConfig
    from asr.text import Normaliser, Tokenizer


def check(
    manifest: Annotated[
        str, typer.Argument(help="JSON lines with `audio` and `text`; or shards, by their folder.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="Config of `asr fit`: its language, units and layers.")
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
    """Read every line and every recording, and report what training cannot use.

    Errors exclude a line; warnings may be intended. The rule for what CTC can spell is exact for
    the layers of the config, or else of the bundle. Measurements of recordings are kept, so that a
    second check decodes only what has changed. Exit code 0: no errors; 1: some; 2: no line can be
    used.
    """
    from asr.bundle import Bundle, default_bundle
    from asr.corpus import explain, locate, measurement_file, survey
    from asr.text.languages import language_name

    source = locate(Path(), manifest)
    if write_clean and (isinstance(source, str) or source.is_dir()):
        raise BadOption("--write-clean writes a manifest, which shards have none: leave it out.")
    if config and bundle:
        raise BadOption("--bundle has no effect with --config, whose units count: leave one out.")
    unheard: Path | str | None = dev
    if config:
        network, tokenizer, normal, unheard, hint = _from_config(config, source, dev)
    else:
        opened = Bundle.open(bundle or default_bundle())
        network, tokenizer, normal = opened.model, opened.tokenizer, opened.normalise
        hint = (
            f"these units are of {language_name(opened.info.language)}, as in {opened.path}; for "
            "others name a config (--config), which may have data.units.alphabet from_texts"
        )
    with bar("reading") as progress:
        surveyed = survey(
            source,
            tokenizer,
            progress,
            frames=network.frames,
            unheard=unheard,
            measures=measurement_file(),
            normal=normal,
        )
    if surveyed.findings:
        typer.echo(explain(source, surveyed.findings))
    typer.echo(surveyed.table())
    if hint and any(found.kind == "unknown characters" for found in surveyed.findings):
        typer.echo(f"asr: {hint}.", err=True)
    if not surveyed.usable:
        raise typer.Exit(2)
    if write_clean:
        _write(surveyed, Path(manifest), write_clean)
    if surveyed.errors:
        raise typer.Exit(1)


def _from_config(
    path: Path, source: "Source", dev: Path | None
) -> "tuple[ModelConfig, Tokenizer, Normaliser, Source | None, str]":
    with needs("train"):
        from asr.training.command.plan import read_config
        from asr.training.data.folder import ROOT_VARIABLE
    from asr.corpus import locate, read_utterances

    plan = read_config(path)
    hint = plan.units.hint
    utterances = read_utterances(source, plan.normal)[0]
    tokenizer = plan.units.tokenizer(u.text for u in utterances if u.text)
    if dev or plan.shared_speakers:
        return plan.network, tokenizer, plan.normal, dev, hint
    root = plan.root or os.environ.get(ROOT_VARIABLE)
    known = locate(Path(root).expanduser() if root else Path(source).parent, plan.dev)
    if isinstance(known, Path) and not known.exists():
        typer.echo(f"{known}, the config's data.dev, is not there: no speakers compared", err=True)
        return plan.network, tokenizer, plan.normal, None, hint
    same = Path(known).resolve() == Path(source).resolve()
    return plan.network, tokenizer, plan.normal, None if same else known, hint


def _write(surveyed: "Survey", manifest: Path, out: Path) -> None:
    """Writes the usable lines, unchanged but for `audio`, which is relative to the new folder."""
    from asr.corpus import read_lines

    lines = dict(read_lines(manifest))
    kept = []
    for utterance in surveyed.usable:
        values = json.loads(lines[utterance.line])
        values["audio"] = os.path.relpath(utterance.audio.resolve(), out.parent.resolve())
        kept.append(json.dumps(values, ensure_ascii=False))
    write_atomically(out, "\n".join(kept) + "\n")
