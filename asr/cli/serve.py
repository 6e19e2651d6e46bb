"""`asr serve`: the recogniser behind HTTP."""

from typing import Annotated, Any

import typer

from asr.cli.extras import needs
from asr.cli.options import BundleOption


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; else EARSHOT_HOST or 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; else EARSHOT_PORT or 8000.")
    ] = None,
    bundle: BundleOption = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu or cuda; else EARSHOT_DEVICE or auto.")
    ] = None,
    print_config: Annotated[
        bool,
        typer.Option(
            "--print-config", help="Try the settings, print them all but secrets, and end."
        ),
    ] = False,
) -> None:
    """Serve POST /v1/audio/transcriptions until stopped; settings also come from EARSHOT_*."""
    with needs("serve"):
        from service.run import run, try_out
        from service.settings import Settings

    given: dict[str, Any] = {"host": host, "port": port, "bundle": bundle, "device": device}
    settings = Settings.read(**{name: value for name, value in given.items() if value is not None})
    if print_config:
        try_out(settings)
        typer.echo(settings.listed())
        return
    run(settings)
