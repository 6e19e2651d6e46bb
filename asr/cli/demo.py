"""`asr demo`: transcribes the shipped clips with the shipped bundle."""

import typer

from asr.cli.options import BundleOption, DeviceOption


def demo(bundle: BundleOption = None, device: DeviceOption = "auto") -> None:
    """Transcribe the clips that come with earshot, and print them with their references."""
    from asr.bundle import shipped
    from asr.corpus import read_manifest
    from asr.runtime import Recognizer

    clips, _ = read_manifest(shipped("samples") / "transcripts.jsonl")
    recognizer = Recognizer.load(bundle, device)
    for clip in clips:
        transcript = recognizer.transcribe(clip.audio)
        typer.echo(f"{clip.audio.name}  ({transcript.duration:.1f} s)")
        typer.echo(f"  said:  {clip.text}")
        typer.echo(f"  heard: {transcript.text}\n")
    typer.echo(
        "Your own files:     the same command with `transcribe FILE_OR_FOLDER` instead of `demo`\n"
        "Start the service:  the same command with `serve` instead of `demo`, and then\n"
        "                    curl -F file=@FILE http://127.0.0.1:8000/v1/audio/transcriptions"
    )
