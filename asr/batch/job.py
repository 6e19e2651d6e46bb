"""The folder job: every input -> a transcript or the reason why there is none."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asr.audio import Audio, Limits, load
from asr.batch.inputs import Input
from asr.errors import AsrError
from asr.transcript import Transcript

if TYPE_CHECKING:
    from asr.runtime import Recognizer

# What a file counts for at least, so that results of empty and failing ones come soon too.
_LEAST_SECONDS = 1.0
_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Result:
    """What became of one input: `transcript`, or `error`, one sentence that says why not."""

    input: Input
    transcript: Transcript | None
    error: str | None


def transcribe_files(
    recognizer: "Recognizer",
    inputs: Iterable[Input],
    limits: Limits = _DEFAULT_LIMITS,
    **options: Any,
) -> Iterator[Result]:
    """One result for each input, in their order, as soon as its group is done.

    An input that cannot be read becomes a result with its error and stops nothing. Short files
    are transcribed together; `options` go to `Recognizer.transcribe`, which raises BadOption for
    one that cannot be.
    """
    most = recognizer.engine.batch_seconds  # padded: files times the longest
    group: list[tuple[Input, Audio | str]] = []
    longest = _LEAST_SECONDS
    for item in inputs:
        heard = _read(item, limits)
        seconds = heard.duration if isinstance(heard, Audio) else 0.0
        if group and (len(group) + 1) * max(longest, seconds) > most:
            yield from _transcribed(recognizer, group, options)
            group, longest = [], _LEAST_SECONDS
        group.append((item, heard))
        longest = max(longest, seconds)
    yield from _transcribed(recognizer, group, options)


def _read(item: Input, limits: Limits) -> Audio | str:
    """The input's sound, or why there is none."""
    if item.problem is not None:
        return item.problem
    try:
        return load(item.path, limits)
    except AsrError as error:
        return str(error)
    except OSError as error:
        return f"{item.path} cannot be read ({error.strerror}): check the disk"


def _transcribed(
    recognizer: "Recognizer", group: list[tuple[Input, Audio | str]], options: dict[str, Any]
) -> Iterator[Result]:
    audios = [heard for _, heard in group if isinstance(heard, Audio)]
    transcripts = iter(recognizer.transcribe(audios, **options) if audios else ())
    for item, heard in group:
        if isinstance(heard, Audio):
            yield Result(item, next(transcripts), None)
        else:
            yield Result(item, None, heard)
