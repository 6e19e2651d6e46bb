"""Where each input's transcript goes, and writing it so that no half file is ever seen."""

import os
import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asr.batch.inputs import Input
from asr.errors import BadOption
from asr.transcript import file_suffix


def output_paths(inputs: Sequence[Input], out_dir: Path, format: str) -> list[Path]:
    """Each input's file below `out_dir`: its inner path with the format's suffix for its own.

    Where two would be the same file, also on a disk that ignores case, both keep their suffix
    (`x.flac.json`, `x.wav.json`). BadOption where even that does not tell them apart, where one
    would replace an input, or for an unknown format.
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
        one, other, *_ = (
            inputs[index].path for index in sorted(clashing, key=lambda index: keys[index])
        )
        raise BadOption(
            f"{one} and {other} would both be written to the same file below {out_dir}: "
            "transcribe them in two runs with different output folders"
        )
    _spare(inputs, paths)
    return paths


def _spare(inputs: Sequence[Input], paths: Sequence[Path]) -> None:
    """BadOption where a path is that of an input."""
    sources = {os.path.realpath(item.path) for item in inputs}
    for path in paths:
        if os.path.realpath(path) in sources:
            raise BadOption(f"{path} is an input and would be replaced: choose another folder")


def write_atomically(path: Path, text: str) -> None:
    """Writes `text` to `path` as UTF-8, making its folders; a reader sees the old file or the new.

    BadOption where it cannot be written.
    """
    # Beside the file, since a rename is atomic only within one disk.
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(text, encoding="utf-8", newline="\n")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise BadOption(
            f"{path} cannot be written ({error.strerror}): choose another output folder"
        ) from error
