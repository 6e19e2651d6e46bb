"""Responses: transcripts in OpenAI's shapes, with additional fields such as the confidence."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from asr.transcript import Layout, Transcript, Word, displayed
from asr.transcript import Segment as SpokenSegment

_LEAST = 1e-9  # confidence 0 has no logarithm

HEADERS: dict[str, dict[str, object]] = {
    "x-request-id": {"schema": {"type": "string"}},
    "server-timing": {
        "schema": {"type": "string"},
        "description": "Milliseconds of each stage: decode, queue, model, text.",
    },
}
"""What the schema says of the headers of an answer with a transcript."""

# As precise as the files that `asr transcribe --format json` writes.
Share = Annotated[float, Field(ge=0, le=1), AfterValidator(lambda share: round(share, 4))]
Seconds = Annotated[float, Field(ge=0), AfterValidator(lambda seconds: round(seconds, 3))]
Elapsed = Annotated[float, Field(ge=0)]


class ResponseBody(BaseModel):
    """Base of all parts of a response; the docstrings of fields describe them in the schema."""

    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)


class Usage(ResponseBody):
    """How much audio the request had."""

    type: Literal["duration"] = "duration"
    seconds: Seconds
    """Length of the recording."""


class Logprob(ResponseBody):
    """Confidence in one word."""

    token: str
    """The word with the space before it, if any: joined, the tokens are the text."""
    logprob: Annotated[float, Field(le=0)]
    """Natural logarithm of the word's confidence."""
    bytes: list[int]
    """The token in UTF-8."""


class Alternative(ResponseBody):
    """One of the best hypotheses for the recording; the best is the first."""

    text: str
    score: float
    """A natural logarithm; higher is likelier, and only differences have a meaning."""


class Transcription(ResponseBody):
    """`response_format=json`."""

    text: Annotated[str, Field(examples=["a man said to the universe sir i exist"])]
    confidence: Share
    """From 0 to 1."""
    usage: Usage
    logprobs: list[Logprob] | None = None
    """With `include[]=logprobs`."""
    alternatives: list[Alternative] | None = None
    """With `nbest` above 1."""


class TimedWord(ResponseBody):
    """One word, with its times in seconds."""

    word: str
    start: Seconds
    end: Seconds
    probability: Share
    """The word's confidence."""
    channel: int | None = None
    """With `channels=split`, where there are several: the one in which it was said."""
    written: str | None = None
    """How people write it, with the mark behind it; empty if it is part of the number that a word
    before it begins. Left out where plain text was asked for."""


class Segment(ResponseBody):
    """A sentence, or the words between two pauses, with their times in seconds."""

    id: int
    seek: int
    """`start` in steps of 10 ms, as Whisper counts."""
    start: Seconds
    end: Seconds
    text: str
    tokens: list[int]
    """The text in the model's units."""
    temperature: float
    avg_logprob: float
    """Mean of the logarithms of the words' confidence."""
    compression_ratio: float
    no_speech_prob: float
    channel: int | None = None
    """As of its words."""


class Timings(ResponseBody):
    """Seconds that the request spent in each stage; `Server-Timing` has them in milliseconds."""

    decode: Elapsed | None = None
    """Decoding the file."""
    queue: Elapsed | None = None
    """Waiting for the model."""
    features: Elapsed | None = None
    """Computing the model's input, if that is not part of `model`."""
    model: Elapsed | None = None
    """Running the model."""
    text: Elapsed | None = None
    """Searching for the words."""


class VerboseTranscription(ResponseBody):
    """`response_format=verbose_json`."""

    task: Literal["transcribe"] = "transcribe"
    language: Annotated[str, Field(examples=["en"])]
    """The code of the language that the model reads."""
    duration: Seconds
    text: str
    confidence: Share
    no_speech: bool
    """True if nothing was said."""
    segments: list[Segment]
    words: list[TimedWord] | None = None
    """With `timestamp_granularities[]=word`."""
    usage: Usage
    alternatives: list[Alternative] | None = None
    timings: Timings


class Turn(ResponseBody):
    """A sentence, or the words between two pauses, and who said them."""

    type: Literal["transcript.text.segment"] = "transcript.text.segment"
    id: str
    """`seg_1`, `seg_2`, … in order of time."""
    start: Seconds
    end: Seconds
    speaker: str
    """The name given for the channel; else `left`, `right`, `channel 3`, …"""
    text: str


class DiarizedTranscription(ResponseBody):
    """`response_format=diarized_json`, which comes with `channels=split`."""

    task: Literal["transcribe"] = "transcribe"
    duration: Seconds
    text: str
    segments: list[Turn]
    usage: Usage


def turn(number: int, segment: SpokenSegment, layout: Layout) -> Turn:
    """The turn of that number, from 1."""
    return Turn(
        id=f"seg_{number}",
        start=segment.start,
        end=segment.end,
        speaker=layout.speaker(segment.channel or 1),
        text=segment.text,
    )


def diarized(transcript: Transcript, layout: Layout) -> DiarizedTranscription:
    """The text with its turns; `layout` names the speakers."""
    return DiarizedTranscription(
        duration=transcript.duration,
        text=transcript.text,
        segments=[
            turn(number, segment, layout)
            for number, segment in enumerate(transcript.segments, start=1)
        ],
        usage=Usage(seconds=transcript.duration),
    )


def brief(transcript: Transcript, with_logprobs: bool = False) -> Transcription:
    """The text alone, or with the logarithm of each word's confidence."""
    return Transcription(
        text=transcript.text,
        confidence=transcript.confidence,
        usage=Usage(seconds=transcript.duration),
        logprobs=logprobs(transcript.by_turns) if with_logprobs else None,
        alternatives=_alternatives(transcript),
    )


def verbose(
    transcript: Transcript,
    with_words: bool,
    encode: Callable[[str], list[int]],
    timings: Mapping[str, float],
    language: str,
) -> VerboseTranscription:
    """Text with segments, and words if requested; `encode` spells text in the model's units."""
    return VerboseTranscription(
        language=language,
        duration=transcript.duration,
        text=transcript.text,
        confidence=transcript.confidence,
        no_speech=transcript.no_speech,
        segments=[
            _segment(number, segment, encode) for number, segment in enumerate(transcript.segments)
        ],
        words=timed_words(transcript.words) if with_words else None,
        usage=Usage(seconds=transcript.duration),
        alternatives=_alternatives(transcript),
        timings=Timings(**timings),
    )


def timed_words(words: Sequence[Word]) -> list[TimedWord]:
    """The words with their times."""
    return [
        TimedWord(
            word=word.text,
            start=word.start,
            end=word.end,
            probability=word.confidence,
            channel=word.channel,
            written=word.written,
        )
        for word in words
    ]


def logprobs(words: Sequence[Word], first: bool = True) -> list[Logprob]:
    """A token for each word as it is written; all have a leading space, except the first of the
    text.

    Args:
        first: whether the words are the first of the text.
    """
    shown = displayed(words)
    tokens = [
        word.text if first and not index else f" {word.text}" for index, word in enumerate(shown)
    ]
    return [
        Logprob(token=token, logprob=_log(word.confidence), bytes=list(token.encode()))
        for token, word in zip(tokens, shown, strict=True)
    ]


def server_timing(timings: Mapping[str, float]) -> dict[str, str]:
    """The header `Server-Timing` (https://www.w3.org/TR/server-timing), in milliseconds."""
    stages = (f"{stage};dur={1000 * seconds:.1f}" for stage, seconds in timings.items())
    return {"server-timing": ", ".join(stages)}


def _alternatives(transcript: Transcript) -> list[Alternative] | None:
    return [
        Alternative(text=alternative.text, score=alternative.score)
        for alternative in transcript.alternatives
    ] or None


def _log(confidence: float) -> float:
    return math.log(max(confidence, _LEAST))


def _segment(number: int, spoken: SpokenSegment, encode: Callable[[str], list[int]]) -> Segment:
    text = spoken.text
    return Segment(
        id=number,
        seek=round(spoken.start * 100),
        start=spoken.start,
        end=spoken.end,
        text=text,
        tokens=encode(spoken.plain),
        temperature=0.0,
        avg_logprob=math.fsum(_log(word.confidence) for word in spoken.words) / len(spoken.words),
        compression_ratio=len(text.encode()) / len(zlib.compress(text.encode())),
        no_speech_prob=0.0,  # a segment always has words
        channel=spoken.channel,
    )
