"""Many files -> transcripts, or the reasons why there are none."""

import os
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from asr.audio import PIECEWISE, Limits
from asr.batch.inputs import Input, list_inputs
from asr.batch.long_recordings import Heard
from asr.batch.pipeline import Pipeline, in_order
from asr.batch.work import Result
from asr.errors import BadOption
from asr.options import Selection, check_channels

if TYPE_CHECKING:
    from asr.runtime import Recognizer

Given: TypeAlias = Input | str | os.PathLike[str]
"""A recording, or the path of one, of a folder, or of several by a pattern."""


def transcribe_files(
    recognizer: "Recognizer",
    inputs: Given | Iterable[Given],
    limits: Limits = PIECEWISE,
    selection: Selection = Selection(),
    heard: Heard | None = None,
    **options: Any,
) -> Generator[Result]:
    """One result for each input, in their order, as soon as it and those before it are done.

    Files are decoded, run through the model and searched side by side; some are read ahead, in
    bounded memory. An input that cannot be read gives a result with its error and stops nothing,
    even if it crashes the process that reads it. `options` are those of `Recognizer.transcribe`.

    Args:
        inputs: paths of recordings and of folders, or what `list_inputs` makes of them.
        heard: as of `Pipeline`.

    Raises:
        BadOption: an option is unknown or has a value that cannot be, or an input is no path.
        BadMachine: recordings cannot be decoded here.
    """
    chosen = recognizer.options(**options)
    check_channels(chosen, selection)
    with Pipeline(recognizer, _listed(inputs), chosen, limits, selection, heard=heard) as pipeline:
        yield from in_order(pipeline)


def _listed(inputs: Given | Iterable[Given]) -> Iterator[Input]:
    """Each recording."""
    if isinstance(inputs, str | os.PathLike) or not isinstance(inputs, Iterable):
        inputs = [inputs]
    for given in inputs:
        if isinstance(given, Input):
            yield given
        elif isinstance(given, str | os.PathLike):
            yield from list_inputs([given])
        else:
            raise BadOption(f"an input is given as {type(given).__name__}: give a path.")
