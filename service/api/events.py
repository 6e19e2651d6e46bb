"""A transcript as server-sent events, in the shapes of OpenAI's `stream=true`.

The model reads a recording in windows of some minutes, and is sure of no word before its window is
done. So the text comes window by window, in one part for each pair of pauses. Until then streaming
gives a sign of life: a comment every few seconds keeps proxies from closing the connection.
(https://html.spec.whatwg.org/multipage/server-sent-events.html)
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from asr.scripts import joined
from asr.transcript import Layout, Segment, Transcript
from service.api.dependencies import note
from service.api.responses import (
    Logprob,
    ResponseBody,
    Seconds,
    Share,
    TimedWord,
    Timings,
    Turn,
    Usage,
    logprobs,
    timed_words,
    turn,
)
from service.engine.order import OnSegment
from service.engine.transcriber import Result
from service.errors import ErrorBody, answer

HEARTBEAT_S = 5.0
"""Longest silence on an open stream."""


class TextDelta(ResponseBody):
    """A part of the text: joined, the deltas are the whole text."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str
    start: Seconds
    end: Seconds
    channel: int | None = None
    """With `channels=split`, where there are several: the one in which it was said."""
    words: list[TimedWord]
    """The words, with their times."""
    logprobs: list[Logprob] | None = None


class TextDone(ResponseBody):
    """The last event: the whole text."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    logprobs: list[Logprob] | None = None
    confidence: Share
    duration: Seconds
    usage: Usage
    timings: Timings


EVENTS = (TextDelta, Turn, TextDone)
STREAM_SCHEMA: dict[str, Any] = {
    "schema": {
        "type": "string",
        "description": "Lines `data: {...}`, each with one of these or an error, in JSON.",
        "contentMediaType": "application/json",
        "contentSchema": {
            "oneOf": [
                {"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (*EVENTS, ErrorBody)
            ]
        },
    },
    "example": 'data: {"type":"transcript.text.delta","delta":"a man said","start":0.5,"end":1.1,'
    '"words":[{"word":"a","start":0.5,"end":0.6,"probability":0.9}]}\n\n'
    'data: {"type":"transcript.text.done","text":"a man said","confidence":0.9,"duration":1.2,'
    '"usage":{"type":"duration","seconds":1.2},"timings":{"model":0.01}}\n\n',
}


@dataclass(frozen=True)
class Shape:
    """What a stream has besides the text."""

    with_logprobs: bool = False
    turns: Layout | None = None
    """How speakers are named, where each segment is to be a turn too, behind its delta."""

    def lines(self, number: int, segment: Segment, last: Segment | None) -> bytes:
        """The events of a segment, counted from 1, after the last one."""
        lines = _line(_delta(segment, last, self.with_logprobs))
        return lines if self.turns is None else lines + _line(turn(number, segment, self.turns))


async def streamed(
    request: Request,
    work: Callable[[OnSegment], Coroutine[Any, Any, Result]],
    shape: Shape,
    heartbeat_s: float = HEARTBEAT_S,
) -> StreamingResponse:
    """The response that sends the transcript of `work` as events.

    An error before the first heartbeat and the first segment is raised here, so that it has its own
    status. A later one becomes an event with `error`, on which OpenAI's clients raise.

    Args:
        work: gives the result, and before that calls its argument with the segments that are known.
        heartbeat_s: seconds between two signs of life.
    """
    segments: asyncio.Queue[Segment] = asyncio.Queue()
    task = asyncio.create_task(work(segments.put_nowait))
    first = asyncio.create_task(segments.get())
    try:
        await asyncio.wait({task, first}, timeout=heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    except BaseException:
        task.cancel()
        first.cancel()
        raise
    return StreamingResponse(
        _stream(request, task, first, segments, shape, heartbeat_s),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
    )


async def _stream(
    request: Request,
    task: asyncio.Task[Result],
    coming: asyncio.Task[Segment],
    segments: asyncio.Queue[Segment],
    shape: Shape,
    heartbeat_s: float,
) -> AsyncIterator[bytes]:
    sent = 0
    last: Segment | None = None
    try:
        while not task.done():
            if coming.done():
                segment = coming.result()
                sent += 1
                yield shape.lines(sent, segment, last)
                last = segment
                coming = asyncio.create_task(segments.get())
            else:
                yield b": still at work\n\n"
            waited = {task, coming}
            await asyncio.wait(waited, timeout=heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
        result = task.result()
        note(request, result)
    except Exception as error:
        response = await answer(request, error)
        yield b"data: " + bytes(response.body) + b"\n\n"
        return
    finally:
        coming.cancel()
        task.cancel()  # in case the client disconnected
    transcript = result.transcript
    for number, segment in enumerate(transcript.segments[sent:], start=sent + 1):
        yield shape.lines(number, segment, last)
        last = segment
    yield _line(_done(transcript, result.timings, shape.with_logprobs))


def _line(event: BaseModel) -> bytes:
    return f"data: {event.model_dump_json(exclude_none=True)}\n\n".encode()


def _delta(segment: Segment, last: Segment | None, with_logprobs: bool) -> TextDelta:
    before = "" if last is None else last.text
    return TextDelta(
        delta=joined([before, segment.text])[len(before) :] if before else segment.text,
        start=segment.start,
        end=segment.end,
        channel=segment.channel,
        words=timed_words(segment.words),
        logprobs=logprobs(segment.words, first=last is None) if with_logprobs else None,
    )


def _done(transcript: Transcript, timings: dict[str, float], with_logprobs: bool) -> TextDone:
    return TextDone(
        text=transcript.text,
        logprobs=logprobs(transcript.by_turns) if with_logprobs else None,
        confidence=transcript.confidence,
        duration=transcript.duration,
        usage=Usage(seconds=transcript.duration),
        timings=Timings(**timings),
    )
