"""A transcript as server-sent events, in the shapes of OpenAI's `stream=true`.

The model processes a whole recording before it is sure of any word. So the text comes at the end,
in one part for each pair of pauses. Until then streaming gives a sign of life: a comment every few
seconds keeps proxies from closing the connection.
(https://html.spec.whatwg.org/multipage/server-sent-events.html)
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from asr.transcript import Transcript
from service.api.responses import Logprob, ResponseBody, Seconds, Share, Timings, Usage, logprobs
from service.engine.transcriber import Result
from service.errors import ErrorBody, answer

HEARTBEAT_S = 5.0
"""Longest silence on an open stream."""


class TextDelta(ResponseBody):
    """A part of the text: joined, the deltas are the whole text."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str
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


EVENTS = (TextDelta, TextDone)
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
    "example": 'data: {"type":"transcript.text.delta","delta":"a man said"}\n\n'
    'data: {"type":"transcript.text.done","text":"a man said","confidence":0.9,"duration":1.2,'
    '"usage":{"type":"duration","seconds":1.2},"timings":{"model":0.01}}\n\n',
}


async def streamed(
    request: Request,
    work: Coroutine[Any, Any, Result],
    with_logprobs: bool,
    heartbeat_s: float = HEARTBEAT_S,
) -> StreamingResponse:
    """The response that sends the transcript of `work` as events.

    An error before the first heartbeat is raised here, so that it has its own status. A later one
    becomes an event with `error`, on which OpenAI's clients raise.

    Args:
        heartbeat_s: seconds between two signs of life.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=heartbeat_s)
        if task.done():
            task.result()
    except BaseException:
        task.cancel()
        raise
    return StreamingResponse(
        _stream(request, task, with_logprobs, heartbeat_s),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
    )


async def _stream(
    request: Request, task: asyncio.Task[Result], with_logprobs: bool, heartbeat_s: float
) -> AsyncIterator[bytes]:
    try:
        while not task.done():
            yield b": still at work\n\n"
            await asyncio.wait({task}, timeout=heartbeat_s)
        result = task.result()
        request.state.timings = result.timings  # for the traces
    except Exception as error:
        response = await answer(request, error)
        yield b"data: " + bytes(response.body) + b"\n\n"
        return
    finally:
        task.cancel()  # in case the client disconnected
    for event in _events(result.transcript, result.timings, with_logprobs):
        yield f"data: {event.model_dump_json(exclude_none=True)}\n\n".encode()


def _events(
    transcript: Transcript, timings: dict[str, float], with_logprobs: bool
) -> Iterator[BaseModel]:
    first = True
    for segment in transcript.segments:
        yield TextDelta(
            delta=segment.text if first else f" {segment.text}",
            logprobs=logprobs(segment.words, first=first) if with_logprobs else None,
        )
        first = False
    yield TextDone(
        text=transcript.text,
        logprobs=logprobs(transcript.words) if with_logprobs else None,
        confidence=transcript.confidence,
        duration=transcript.duration,
        usage=Usage(seconds=transcript.duration),
        timings=Timings(**timings),
    )
