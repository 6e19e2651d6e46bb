"""A transcript as server-sent events, in the shapes of OpenAI's `stream=true`.

The model hears a whole recording before it is sure of any word, so the text comes all at once at
the end, a piece for what was said between two pauses. What streaming gives meanwhile is a sign of
life: a comment every few seconds keeps proxies from closing the connection.
(https://html.spec.whatwg.org/multipage/server-sent-events.html)
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from asr.transcript import Transcript, between_pauses
from service.answers import Answer, Logprob, Seconds, Share, Timings, logprobs
from service.errors import ErrorBody, answer
from service.shelf import Heard

HEARTBEAT_S = 5.0
"""Longest silence on an open stream."""


class TextDelta(Answer):
    """More of the text: the deltas joined are the whole."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str
    logprobs: list[Logprob] | None = None


class TextDone(Answer):
    """The last event: the whole text."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    logprobs: list[Logprob] | None = None
    confidence: Share
    duration: Seconds
    timings: Timings


STREAM_SCHEMA: dict[str, Any] = {
    "schema": {
        "type": "string",
        "description": "Lines `data: {...}`, each with one of these, or an error, in JSON.",
        "contentMediaType": "application/json",
        "contentSchema": {
            "oneOf": [kind.model_json_schema() for kind in (TextDelta, TextDone, ErrorBody)]
        },
    },
    "example": 'data: {"type":"transcript.text.delta","delta":"a man said"}\n\n'
    'data: {"type":"transcript.text.done","text":"a man said","confidence":0.9,"duration":1.2,'
    '"timings":{"model":0.01}}\n\n',
}


async def streamed(
    request: Request, work: Coroutine[Any, Any, Heard], with_logprobs: bool
) -> StreamingResponse:
    """The answer that sends the transcript of `work` as events.

    What goes wrong before the first heartbeat is raised here, so that it has a status of its own;
    later it is an event with `error`, on which OpenAI's clients raise.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=HEARTBEAT_S)
        if task.done():
            task.result()
    except BaseException:
        task.cancel()
        raise
    return StreamingResponse(
        _stream(request, task, with_logprobs),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
    )


async def _stream(
    request: Request, task: asyncio.Task[Heard], with_logprobs: bool
) -> AsyncIterator[bytes]:
    try:
        while not task.done():
            yield b": still at work\n\n"
            await asyncio.wait({task}, timeout=HEARTBEAT_S)
        heard = task.result()
    except Exception as error:
        told = await answer(request, error)
        yield b"data: " + bytes(told.body) + b"\n\n"
        return
    finally:
        task.cancel()  # where the client is gone
    for event in _events(heard.transcripts[0], heard.timings, with_logprobs):
        yield f"data: {event.model_dump_json(exclude_none=True)}\n\n".encode()


def _events(
    transcript: Transcript, timings: dict[str, float], with_logprobs: bool
) -> Iterator[BaseModel]:
    begun = False
    for words in between_pauses(transcript.words):
        text = " ".join(word.text for word in words)
        yield TextDelta(
            delta=f" {text}" if begun else text,
            logprobs=logprobs(words, first=not begun) if with_logprobs else None,
        )
        begun = True
    yield TextDone(
        text=transcript.text,
        logprobs=logprobs(transcript.words) if with_logprobs else None,
        confidence=transcript.confidence,
        duration=transcript.duration,
        timings=Timings(**timings),
    )
