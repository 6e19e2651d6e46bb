"""What a live session sends: events in the shape of OpenAI's realtime transcription sessions."""

import uuid
from typing import Any, Literal

from pydantic import Field

from asr.audio import SAMPLE_RATE
from asr.transcript import Transcript
from service.api.responses import (
    Logprob,
    ResponseBody,
    Seconds,
    Share,
    TimedWord,
    Usage,
    logprobs,
    timed_words,
)
from service.errors import ErrorDetail
from service.live.session import Completed, Event, Failed, Heard, Started, Stopped


class ServerEvent(ResponseBody):
    """Base of all events."""

    event_id: str = Field(default_factory=lambda: f"event_{uuid.uuid4().hex}")


class SessionCreated(ServerEvent):
    """The first event."""

    type: Literal["session.created"] = "session.created"
    session: dict[str, Any]


class SessionUpdated(ServerEvent):
    """The configuration has changed."""

    type: Literal["session.updated"] = "session.updated"
    session: dict[str, Any]


class SpeechStarted(ServerEvent):
    """Somebody speaks: a turn is open."""

    type: Literal["input_audio_buffer.speech_started"] = "input_audio_buffer.speech_started"
    audio_start_ms: int
    """Start of the turn, from the start of the session's sound."""
    item_id: str


class SpeechStopped(ServerEvent):
    """The turn has ended."""

    type: Literal["input_audio_buffer.speech_stopped"] = "input_audio_buffer.speech_stopped"
    audio_end_ms: int
    """End of the turn, from the start of the session's sound."""
    item_id: str


class Committed(ServerEvent):
    """The turn's sound is taken; its text follows."""

    type: Literal["input_audio_buffer.committed"] = "input_audio_buffer.committed"
    item_id: str
    previous_item_id: str | None


class Cleared(ServerEvent):
    """The open turn is forgotten."""

    type: Literal["input_audio_buffer.cleared"] = "input_audio_buffer.cleared"


class LiveDelta(ServerEvent):
    """More is settled, or what is shown behind it has changed."""

    type: Literal["conversation.item.input_audio_transcription.delta"] = (
        "conversation.item.input_audio_transcription.delta"
    )
    item_id: str
    content_index: Literal[0] = 0
    delta: str
    """Settled text, to be put behind that of the item's events before; may be empty."""
    tentative: str
    """To be shown behind the settled text until the next event: it may change."""


class LiveCompleted(ServerEvent):
    """The text of a turn."""

    type: Literal["conversation.item.input_audio_transcription.completed"] = (
        "conversation.item.input_audio_transcription.completed"
    )
    item_id: str
    content_index: Literal[0] = 0
    transcript: str
    usage: Usage
    logprobs: list[Logprob] | None = None
    confidence: Share
    start: Seconds
    """Start of the turn, from the start of the session's sound."""
    end: Seconds
    words: list[TimedWord]
    """With their times from the start of the session's sound."""


class LiveFailed(ServerEvent):
    """The turn could not be read."""

    type: Literal["conversation.item.input_audio_transcription.failed"] = (
        "conversation.item.input_audio_transcription.failed"
    )
    item_id: str
    content_index: Literal[0] = 0
    error: ErrorDetail


EVENTS = (
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    Committed,
    Cleared,
    LiveDelta,
    LiveCompleted,
    LiveFailed,
)


def server_events(event: Event, by_detection: bool, with_logprobs: bool) -> list[ServerEvent]:
    """The events for what has happened.

    Args:
        by_detection: whether the service finds the turns: else the client knows where they are.
    """
    match event:
        case Started():
            start = SpeechStarted(audio_start_ms=_milliseconds(event.start), item_id=event.item)
            return [start] if by_detection else []
        case Heard():
            shown = event.shown
            delta = LiveDelta(item_id=event.item, delta=shown.settled, tentative=shown.tentative)
            return [delta]
        case Stopped():
            stop = SpeechStopped(audio_end_ms=_milliseconds(event.stop), item_id=event.item)
            committed = Committed(item_id=event.item, previous_item_id=event.previous)
            return [stop, committed] if by_detection else [committed]
        case Completed():
            return [_completed(event, with_logprobs)]
        case Failed():
            return [LiveFailed(item_id=event.item, error=event.error)]


def _completed(event: Completed, with_logprobs: bool) -> LiveCompleted:
    start = event.turn.start / SAMPLE_RATE
    transcript: Transcript = event.transcript
    return LiveCompleted(
        item_id=event.item,
        transcript=transcript.text,
        usage=Usage(seconds=event.turn.seconds),
        logprobs=logprobs(transcript.words) if with_logprobs else None,
        confidence=transcript.confidence,
        start=start,
        end=event.turn.stop / SAMPLE_RATE,
        words=timed_words([word.later(start) for word in transcript.words]),
    )


def _milliseconds(sample: int) -> int:
    return round(1000 * sample / SAMPLE_RATE)
