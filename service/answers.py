"""Transcripts as OpenAI's clients expect them; what OpenAI lacks (confidence) comes beside."""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from pydantic import BaseModel

from asr.transcript import Transcript, Word

_PAUSE_S = 0.8  # a pause this long ends a spoken sentence more often than not
_LEAST = 1e-9  # confidence 0 has no logarithm


class Usage(BaseModel):
    """What the request cost."""

    type: Literal["duration"] = "duration"
    seconds: float


class Transcription(BaseModel):
    """`response_format=json`."""

    text: str
    confidence: float
    usage: Usage


class TimedWord(BaseModel):
    """One word, with its times in seconds."""

    word: str
    start: float
    end: float
    probability: float


class Segment(BaseModel):
    """Words between two pauses, with their times in seconds."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseTranscription(BaseModel):
    """`response_format=verbose_json`."""

    task: Literal["transcribe"] = "transcribe"
    language: Literal["en"] = "en"
    duration: float
    text: str
    confidence: float
    no_speech: bool
    segments: list[Segment]
    words: list[TimedWord] | None = None
    usage: Usage


def brief(transcript: Transcript) -> Transcription:
    """The text alone."""
    return Transcription(
        text=transcript.text,
        confidence=transcript.confidence,
        usage=Usage(seconds=transcript.duration),
    )


def verbose(
    transcript: Transcript, with_words: bool, encode: Callable[[str], list[int]]
) -> VerboseTranscription:
    """Text with segments, and words if asked for; `encode` spells text in the model's units."""
    words = [
        TimedWord(word=word.text, start=word.start, end=word.end, probability=word.confidence)
        for word in transcript.words
    ]
    return VerboseTranscription(
        duration=transcript.duration,
        text=transcript.text,
        confidence=transcript.confidence,
        no_speech=transcript.no_speech,
        segments=[
            _segment(number, words, encode)
            for number, words in enumerate(_between_pauses(transcript.words))
        ],
        words=words if with_words else None,
        usage=Usage(seconds=transcript.duration),
    )


def _between_pauses(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    first = 0
    for index, word in enumerate(words):
        at_end = index + 1 == len(words)
        if at_end or words[index + 1].start - word.end >= _PAUSE_S:
            yield words[first : index + 1]
            first = index + 1


def _segment(number: int, words: Sequence[Word], encode: Callable[[str], list[int]]) -> Segment:
    text = " ".join(word.text for word in words)
    logprobs = [math.log(max(word.confidence, _LEAST)) for word in words]
    return Segment(
        id=number,
        seek=round(words[0].start * 100),  # Whisper counts its seek in steps of 10 ms
        start=words[0].start,
        end=words[-1].end,
        text=text,
        tokens=encode(text),
        temperature=0.0,
        avg_logprob=math.fsum(logprobs) / len(logprobs),
        compression_ratio=len(text.encode()) / len(zlib.compress(text.encode())),
        no_speech_prob=0.0,  # a segment is made of words; where there are none, there is none
    )
