"""How far a job is, as server-sent events: its segments, numbered, and its progress.

Segments have the numbers 1, 2, … as ids of their events, and the end has the number that follows.
So a client that lost its connection goes on with `Last-Event-ID`, also after a restart of the
service. Progress has no id, since only the latest matters.
(https://html.spec.whatwg.org/multipage/server-sent-events.html)
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel

from asr.transcript import Segment
from service.api.events import HEARTBEAT_S
from service.api.responses import ResponseBody, Seconds, Share, TimedWord, timed_words
from service.errors import ApiError, ErrorDetail
from service.jobs.jobs import Jobs, JobState
from service.jobs.records import Record
from service.jobs.results import Outcome


class JobProgress(ResponseBody):
    """How far the job is; without an id."""

    type: Literal["job.progress"] = "job.progress"
    state: Literal["waiting", "running"]
    heard: Seconds
    """Seconds of audio that are done."""
    seconds: Seconds
    """Seconds of audio in all: an estimate until the recording is decoded."""
    place: int | None = None
    """Its place in the queue, from 1, while it waits."""


class JobSegment(ResponseBody):
    """What is said between two pauses, in order; with the id 1, 2, …"""

    type: Literal["job.segment"] = "job.segment"
    text: str
    start: Seconds
    end: Seconds
    confidence: Share
    channel: int | None = None
    """With `channels=split`, where there are several: the one in which it was said."""
    words: list[TimedWord]


class JobDone(ResponseBody):
    """The last event: the result is there."""

    type: Literal["job.done"] = "job.done"
    seconds: Seconds
    """Seconds of audio; those of channels that are read each by itself add up."""
    duration: Seconds
    """Length of the recording."""


class JobFailed(ResponseBody):
    """The last event: there is no result."""

    type: Literal["job.failed"] = "job.failed"
    error: ErrorDetail


class JobDeleted(ResponseBody):
    """The last event: the job was deleted, or is forgotten."""

    type: Literal["job.deleted"] = "job.deleted"


EVENTS = (JobProgress, JobSegment, JobDone, JobFailed, JobDeleted)
EVENTS_SCHEMA: dict[str, Any] = {
    "schema": {
        "type": "string",
        "description": "Events whose `data` is one of these in JSON; `event` is its type.",
        "contentMediaType": "application/json",
        "contentSchema": {
            "oneOf": [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in EVENTS]
        },
    },
    "example": 'event: job.progress\ndata: {"type":"job.progress","state":"waiting","heard":0.0,'
    '"seconds":4.65,"place":1}\n\nid: 1\nevent: job.segment\ndata: {"type":"job.segment",'
    '"text":"a man said","start":0.5,"end":1.1,"confidence":0.9,"words":[]}\n\nid: 2\n'
    'event: job.done\ndata: {"type":"job.done","seconds":4.65,"duration":4.65}\n\n',
}


def last_event(request: Request) -> int:
    """The number in `Last-Event-ID`; ApiError (422) if it is none."""
    given = request.headers.get("last-event-id", "0").strip()
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise ApiError(
            422,
            f"Last-Event-ID {given[:100]!r} is no number: send the id of the last event that came.",
            param="last-event-id",
            code="invalid_value",
        )
    return int(given)


async def job_events(
    jobs: Jobs, record: Record, after: int, heartbeat_s: float = HEARTBEAT_S
) -> AsyncIterator[bytes]:
    """The events of a job after the one of that number, to its end or that of the service."""
    shown: JobProgress | None = None
    while True:
        change = jobs.change(record.id)
        try:
            record = await jobs.find(record.id, record.key)
            outcome = await jobs.outcome(record) if record.state == "done" else None
            new = outcome.segments[after:] if outcome else await jobs.segments(record, after)
        except ApiError as error:
            if error.status == 404:
                yield _event(JobDeleted())
            return  # else the disk fails: the client connects again
        for segment in new:
            after += 1
            yield _event(_segment(segment), after)
        if record.has_ended:
            yield _event(_end(record, outcome), after + 1)
            return
        progress = _progress(jobs.state(record))
        yield b": still at work\n\n" if progress == shown else _event(progress)
        shown = progress
        if jobs.paused.is_set():
            return
        await _first_of(change, jobs.paused, heartbeat_s)


async def _first_of(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.create_task(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:  # also where the client has gone: else the service's own event would keep them
        for wait in waits:
            wait.cancel()


def _progress(state: JobState) -> JobProgress:
    return JobProgress(
        state="waiting" if state.state == "waiting" else "running",
        heard=state.heard,
        seconds=state.seconds,
        place=state.place,
    )


def _segment(segment: Segment) -> JobSegment:
    return JobSegment(
        text=segment.text,
        start=segment.start,
        end=segment.end,
        confidence=segment.confidence,
        channel=segment.channel,
        words=timed_words(segment.words),
    )


def _end(record: Record, outcome: Outcome | None) -> JobDone | JobFailed:
    if outcome is not None:
        return JobDone(seconds=record.seconds, duration=outcome.transcript.duration)
    assert record.error is not None
    return JobFailed(error=ErrorDetail(**record.error["detail"]))


def _event(event: BaseModel, number: int | None = None) -> bytes:
    id = "" if number is None else f"id: {number}\n"
    kind = getattr(event, "type", "")
    return f"{id}event: {kind}\ndata: {event.model_dump_json(exclude_none=True)}\n\n".encode()
