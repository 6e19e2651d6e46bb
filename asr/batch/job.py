"""Many files -> transcripts, or the reasons why there are none."""

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

from asr.audio import PIECEWISE, Limits
from asr.batch.inputs import Input
from asr.batch.pipeline import Heard, Pipeline, Result, in_order
from asr.options import Selection, check_channels

if TYPE_CHECKING:
    from asr.runtime import Recognizer


def transcribe_files(
    recognizer: "Recognizer",
    inputs: Iterable[Input],
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
        heard: as of `Pipeline`.

    Raises:
        BadOption: an option is unknown or has a value that cannot be.
        BadMachine: recordings cannot be decoded here.
    """
    chosen = recognizer.options(**options)
    check_channels(chosen, selection)
    with Pipeline(recognizer, inputs, chosen, limits, selection, heard=heard) as pipeline:
        yield from in_order(pipeline)
