"""Options that several commands share, worded once."""

from pathlib import Path
from typing import Annotated

import typer

BundleOption = Annotated[
    Path | None, typer.Option("--bundle", help="Folder of a bundle; else the one that ships.")
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="auto, cpu or cuda; auto is the GPU where there is one.")
]
DecoderOption = Annotated[
    str | None, typer.Option("--decoder", help="greedy; else as the bundle says.")
]
