"""The folder job: every input -> a transcript or the reason why there is none."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asr.audio import Audio, Limits
from asr.batch.decoders import decoded
from asr.batch.inputs import Input
from asr.transcript import Transcript

if TYPE_CHECKING:
    from asr.runtime import Recognizer

# The least cost of a file, so that results of empty and failing files do not wait.
_LEAST_SECONDS = 1.0
_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Result:
    """The result of one input: `transcript`, or `error`, a sentence that says why there is none."""

    input: Input
    transcript: Transcript | None
    error: str | None


def transcribe_files(
    recognizer: "Recognizer",
    inputs: Iterable[Input],
    limits: Limits = _DEFAULT_LIMITS,
    track: int | None = None,
    **options: Any,
) -> Iterator[Result]:
    """One result for each input, in their order, as soon as its group is done.

    An input that cannot be read gives a result with its error and stops nothing, even if it crashes
    the process that reads it. Short files are transcribed together. `track` is that of
    `asr.audio.load`; `options` go to `Recognizer.transcribe`, which raises BadOption.
    """
    most = recognizer.engine.batch_seconds  # padded: files times the longest
    group: list[tuple[Input, Audio | str]] = []
    longest = _LEAST_SECONDS
    for item, audio in decoded(inputs, limits, track):
        seconds = audio.duration if isinstance(audio, Audio) else 0.0
        if group and (len(group) + 1) * max(longest, seconds) > most:
            yield from _transcribed(recognizer, group, options)
            group, longest = [], _LEAST_SECONDS
        group.append((item, audio))
        longest = max(longest, seconds)
    yield from _transcribed(recognizer, group, options)


def _transcribed(
    recognizer: "Recognizer", group: list[tuple[Input, Audio | str]], options: dict[str, Any]
) -> Iterator[Result]:
    audios = [audio for _, audio in group if isinstance(audio, Audio)]
    transcripts = iter(recognizer.transcribe(audios, **options) if audios else ())
    for item, audio in group:
        if isinstance(audio, Audio):
            yield Result(item, next(transcripts), None)
        else:
            yield Result(item, None, audio)
