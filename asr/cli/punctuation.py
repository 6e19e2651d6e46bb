"""`asr punctuation`: models of marks and capitals."""

import json
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.extras import needs
from asr.cli.failures import Failures
from asr.cli.options import BundleOption
from asr.cli.progress import bar
from asr.counting import counted
from asr.errors import BadData
from asr.files import replacing

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def punctuation() -> None:
    """Marks and capitals: `asr punctuation listen` and `add`; `asr fit` trains them."""


@app.command()
def listen(
    manifest: Annotated[Path, typer.Argument(help="Manifest with the recordings.")],
    written: Annotated[
        Path,
        typer.Argument(
            help="JSON lines with the `id` of a recording and what it says as "
            "people write it, `written`."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    bundle: BundleOption = None,
) -> None:
    """Find when each word of written texts is said, so that marks can be learnt by their pauses.

    A recording whose words are not all found is left out, and counted. Exit code 0: written;
    1: written, but some recordings could not be read; 2: nothing could be done.
    """
    from asr.corpus import Finding, read_recordings
    from asr.evaluation.written import read_written, times_of
    from asr.punctuation.marks import parse
    from asr.runtime import Recognizer

    recordings = {recording.id: recording for recording in read_recordings(manifest)}
    texts = read_written(written)
    recognizer, failed = Recognizer.load(bundle), Failures()
    kept, left = 0, 0
    with bar("listening") as advance, replacing(out) as file:
        for id, text in texts.items():
            times: list[list[float]] = []
            if (recording := recordings.get(id)) is not None:
                sound = recording.heard()
                if isinstance(sound, Finding):
                    failed.unread(manifest, sound)
                else:
                    words = [word.plain for word in parse(text) if word is not None]
                    said = times_of(recognizer, sound, words)
                    times = [[round(word.start, 2), round(word.end, 2)] for word in said]
            kept, left = kept + bool(times), left + (not times)
            if times:
                line = json.dumps({"id": id, "written": text, "times": times})
                file.write(f"{line}\n".encode())
            advance(kept + left, len(texts))
        if not kept:
            raise BadData(
                f"{written} has no text whose words were all found in a recording of {manifest}; "
                "check their ids and texts."
            )
    typer.echo(f"{counted(kept, 'recording')} in {out}; {left:,} left out", err=True)
    failed.end()


@app.command()
def add(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, which is changed.")],
    checkpoint: Annotated[
        Path, typer.Argument(help="Checkpoint of `asr fit` with `task: punctuation`.")
    ],
) -> None:
    """Put a trained model of marks and capitals into a bundle."""
    with needs("train"):
        from asr.export.punctuation import punctuation_graph
    from asr.bundle import put_punctuation

    made = punctuation_graph(checkpoint)
    put_punctuation(bundle, made.content, made.about)
    typer.echo(f"{bundle} writes marks and capitals: {len(made.content) / 1e6:.1f} MB", err=True)
