"""`asr demo`: the shipped clips, read by the shipped bundle."""

import json
from pathlib import Path

import typer

from asr.cli.options import BundleOption, DeviceOption
from asr.errors import BadData


def demo(bundle: BundleOption = None, device: DeviceOption = "auto") -> None:
    """Transcribe the clips that come with earshot and print what was said and what was heard."""
    from asr.runtime import Recognizer

    folder = _samples()
    lines = (folder / "transcripts.jsonl").read_text(encoding="utf-8").splitlines()
    clips = [json.loads(line) for line in lines]
    recognizer = Recognizer.load(bundle, device)
    for clip in clips:
        heard = recognizer.transcribe(folder / clip["audio"])
        typer.echo(f"{clip['audio']}  ({heard.duration:.1f} s)")
        typer.echo(f"  said:  {clip['text'].lower()}")
        typer.echo(f"  heard: {heard.text}\n")
    typer.echo(
        "Your own files:     the same command with `transcribe FILE_OR_FOLDER` instead of `demo`\n"
        "Start the service:  the same command with `serve` instead of `demo`, and then\n"
        "                    curl -F file=@FILE http://127.0.0.1:8000/v1/audio/transcriptions"
    )


def _samples() -> Path:
    package = Path(__file__).parents[1]
    for folder in (package / "shipped" / "samples", package.parent / "samples"):
        if folder.is_dir():
            return folder
    raise BadData(f"no clips ship beside {package}; name your own with `asr transcribe FILE`.")
