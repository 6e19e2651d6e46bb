"""`POST /v1/vad`: where there is speech in a recording.

The recogniser itself says so: speech is where it hears words. So noise and hum are none (guarantee
9), and where `asr transcribe` pauses, this does too.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from asr.runtime import Recognizer
from asr.transcript import between_pauses
from service.access.disconnects import cancel_on_disconnect
from service.api.dependencies import Registry, note
from service.api.fields import SpeechQuery, query_parameters
from service.api.parsing import read_recording, read_speech_query
from service.api.responses import ResponseBody, Seconds, Share
from service.errors import refusals

PATH = "/v1/vad"
router = APIRouter(tags=["transcriptions"])


class Stretch(ResponseBody):
    """Speech between two pauses, in seconds."""

    start: Seconds
    end: Seconds
    confidence: Share
    """The mean confidence of its words."""


class Speech(ResponseBody):
    """Where there is speech."""

    stretches: list[Stretch]
    speech_seconds: Seconds
    """Seconds of all stretches."""
    duration: Seconds
    """Seconds of the recording."""


_AUDIO = {"schema": {"type": "string", "format": "binary"}}
_GREEDY: dict[str, Any] = {"decoder": "greedy"}


@router.post(
    PATH,
    responses=refusals(401, 404, 408, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra={
        "parameters": query_parameters(SpeechQuery),
        "requestBody": {
            "required": True,
            "description": "The recording, recognised by its bytes, whatever its Content-Type.",
            "content": {"application/octet-stream": _AUDIO, "audio/*": _AUDIO},
        },
    },
)
async def find_speech(
    request: Request, query: Annotated[SpeechQuery, Depends(read_speech_query)], registry: Registry
) -> Speech:
    """Find the stretches of speech in the recording in the request's body."""
    body = await read_recording(request)
    work = registry.transcribe(
        query.model, _options, body, "the upload", query.channels, query.track
    )
    result = await cancel_on_disconnect(request, work)
    note(request, result)
    stretches = [
        Stretch(start=segment.start, end=segment.end, confidence=segment.confidence)
        for segment in between_pauses(result.transcript.words, query.pause)
    ]
    return Speech(
        stretches=stretches,
        speech_seconds=sum(stretch.end - stretch.start for stretch in stretches),
        duration=result.transcript.duration,
    )


def _options(_: Recognizer) -> dict[str, Any]:
    return _GREEDY
