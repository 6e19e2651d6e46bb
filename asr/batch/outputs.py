"""The output files of each input."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asr.batch.inputs import Input, Place
from asr.batch.shards import Shard
from asr.batch.stores import Address
from asr.batch.workplace import ERRORS, RESULTS, list_path
from asr.errors import BadOption
from asr.files import readable
from asr.transcript import FORMATS, file_suffix


def formats_of(names: str) -> list[str]:
    """The formats that a list with commas names, each once; `all` is all of them.

    Raises:
        BadOption: one of them is unknown, or none is named.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise BadOption(f"--format is empty: choose from {', '.join(FORMATS)}, or all.")
    listed = list(FORMATS) if "all" in wanted else wanted
    by_ending = {file_suffix(name): name for name in reversed(listed)}
    return sorted(by_ending.values(), key=listed.index)


def output_stems(inputs: Sequence[Input], out_dir: Path, formats: Sequence[str]) -> list[str]:
    """The path of each input's output files below `out_dir`, but for the ending of a format.

    It is the inner path without its suffix. If two would be the same, also on a disk that ignores
    case, both keep their suffix (`x.flac.json`, `x.wav.json`). BadOption if they are still the
    same, if one would replace an input, or for an unknown format.
    """
    kept: set[int] = set()
    while True:
        stems = [
            str(item.inner if index in kept else item.inner.with_suffix(""))
            for index, item in enumerate(inputs)
        ]
        keys = [stem.casefold() for stem in stems]
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
            "transcribe them in two runs with different output folders."
        )
    for ending in map(file_suffix, formats):
        if any(str(item.path).endswith(ending) for item in inputs):  # looking up all takes seconds
            spare(inputs, [out_dir / f"{stem}{ending}" for stem in stems])
    return stems


def results(output: Path, stems: Iterable[str]) -> Iterator[Path]:
    """What jobs leave in an output folder that may lie among the recordings: files of any format,
    and lists."""
    for name in (RESULTS, ERRORS):
        yield list_path(output, name, Shard())
        yield from output.glob(f"{name}*.jsonl")
    for stem in stems:
        for ending in map(file_suffix, FORMATS):
            yield output / f"{stem}{ending}"


def json_line(path: Place, values: Mapping[str, Any]) -> str:
    """A recording's values as a line of JSON, headed by its path as valid text."""
    line = {"file": readable(str(path)), **values}
    return json.dumps(line, ensure_ascii=not line["file"].isprintable(), allow_nan=False)


def spare(inputs: Sequence[Input], paths: Sequence[Path]) -> None:
    """BadOption if a path is that of an input."""
    places = (item.path for item in inputs)
    sources = {os.path.realpath(path) for path in places if not isinstance(path, Address)}
    for path in paths:
        if os.path.realpath(path) in sources:
            raise BadOption(f"{path} is an input and would be replaced: choose another folder.")
