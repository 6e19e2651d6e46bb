"""Many files -> transcripts, or the reasons why there are none."""

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

from asr.audio import Limits
from asr.batch.inputs import Input
from asr.batch.pipeline import Pipeline, Result, in_order

if TYPE_CHECKING:
    from asr.runtime import Recognizer

_DEFAULT_LIMITS = Limits()


def transcribe_files(
    recognizer: "Recognizer",
    inputs: Iterable[Input],
    limits: Limits = _DEFAULT_LIMITS,
    track: int | None = None,
    **options: Any,
) -> Generator[Result]:
    """One result for each input, in their order, as soon as it and those before it are done.

    Files are decoded, run through the model and searched side by side; some are read ahead, in
    bounded memory. An input that cannot be read gives a result with its error and stops nothing,
    even if it crashes the process that reads it. `track` is that of `asr.audio.load`; `options` go
    to `Recognizer.transcribe`, which raises BadOption.
    """
    chosen = recognizer.options(**options)
    with Pipeline(recognizer, inputs, chosen, limits, track) as pipeline:
        yield from in_order(pipeline)
