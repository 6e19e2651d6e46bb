"""The output file of each input."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asr.batch.inputs import Input
from asr.errors import BadOption
from asr.transcript import file_suffix


def output_paths(inputs: Sequence[Input], out_dir: Path, format: str) -> list[Path]:
    """The output file of each input in `out_dir`: its inner path with the suffix of the format.

    If two would be the same file, also on a disk that ignores case, both keep their old suffix
    (`x.flac.json`, `x.wav.json`). BadOption if they are still the same, if one would replace an
    input, or for an unknown format.
    """
    ending = file_suffix(format)
    kept: set[int] = set()
    while True:
        paths = [
            out_dir / f"{item.inner if index in kept else item.inner.with_suffix('')}{ending}"
            for index, item in enumerate(inputs)
        ]
        keys = [str(path).casefold() for path in paths]
        uses = Counter(keys)
        clashing = {index for index, key in enumerate(keys) if uses[key] > 1}
        if clashing <= kept:
            break
        kept |= clashing  # a kept suffix can meet another name, so look again
    if clashing:
        first, other, *_ = (
            inputs[index].path for index in sorted(clashing, key=lambda index: keys[index])
        )
        raise BadOption(
            f"{first} and {other} would both be written to the same file below {out_dir}: "
            "transcribe them in two runs with different output folders"
        )
    _spare(inputs, paths)
    return paths


def _spare(inputs: Sequence[Input], paths: Sequence[Path]) -> None:
    """BadOption if a path is that of an input."""
    sources = {os.path.realpath(item.path) for item in inputs}
    for path in paths:
        if os.path.realpath(path) in sources:
            raise BadOption(f"{path} is an input and would be replaced: choose another folder")
