"""`POST /v1/transcribe`: the body is the recording and the query has the options."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import Field

from asr.transcript import write
from service.access.disconnects import cancel_on_disconnect
from service.api.answers import MEDIA_TYPES
from service.api.dependencies import Registry, note
from service.api.fields import TranscribeQuery, query_parameters
from service.api.parsing import read_query, read_recording
from service.api.responses import HEADERS, Alternative, ResponseBody, Seconds, Share, server_timing
from service.engine.transcriber import Result
from service.errors import refusals

PATH = "/v1/transcribe"
router = APIRouter(tags=["transcriptions"])


class SpokenWord(ResponseBody):
    """One word, with its times in seconds."""

    text: str
    start: Seconds
    end: Seconds
    confidence: Share
    channel: int | None = None
    """With `channels=split`, where there are several: the one in which it was said."""


class SpokenSegment(ResponseBody):
    """What is said between two pauses, with its times in seconds."""

    text: str
    start: Seconds
    end: Seconds
    confidence: Share
    channel: int | None = None
    """As of its words."""
    words: list[SpokenWord]


class Spoken(ResponseBody):
    """A transcript, as `asr transcribe --format json` prints it."""

    text: Annotated[str, Field(examples=["a man said to the universe sir i exist"])]
    words: list[SpokenWord]
    confidence: Share
    duration: Seconds
    no_speech: bool
    segments: list[SpokenSegment]
    alternatives: list[Alternative] | None = None
    """With `nbest` above 1."""
    subtitles: str | None = None
    """With `subtitles`, in that format."""


class SpokenChannels(ResponseBody):
    """A transcript for each channel, with `multichannel=true`."""

    channels: list[Spoken]
    duration: Seconds


_AUDIO = {"schema": {"type": "string", "format": "binary"}}
_TEXT = {"schema": {"type": "string"}}
_ANSWERS: dict[str, Any] = {
    "model": Spoken | SpokenChannels,
    "description": "The words, in the requested format.",
    "headers": HEADERS,
    "content": dict.fromkeys(("text/plain", *MEDIA_TYPES.values()), _TEXT),
}


@router.post(
    PATH,
    response_model=None,
    responses={200: _ANSWERS, **refusals(401, 404, 408, 413, 415, 422, 429, 500, 503, 504)},
    openapi_extra={
        "parameters": query_parameters(),
        "requestBody": {
            "required": True,
            "description": "The recording: wav, flac, mp3, ogg, opus, m4a, mp4 or webm, recognised "
            "by its bytes, whatever its Content-Type.",
            "content": {"application/octet-stream": _AUDIO, "audio/*": _AUDIO},
        },
    },
)
async def transcribe(
    request: Request, query: Annotated[TranscribeQuery, Depends(read_query)], registry: Registry
) -> Response:
    """Transcribe the recording in the request's body."""
    body = await read_recording(request)
    work = registry.transcribe(
        query.model,
        query.options,
        body,
        "the upload",
        "split" if query.multichannel else query.channels,
        query.track,
    )
    result = await cancel_on_disconnect(request, work)
    note(request, result)
    return await run_in_threadpool(_answer, query, result)


def _answer(query: TranscribeQuery, result: Result) -> Response:
    headers = server_timing(result.timings)
    if query.multichannel:
        channels = [transcript.to_dict() for transcript in result.transcripts]
        content = {"channels": channels, "duration": channels[0]["duration"]}
        return JSONResponse(content, headers=headers)
    transcript = result.transcript
    if query.format == "json":
        content = transcript.to_dict()
        if query.subtitles:
            content["subtitles"] = write(transcript, query.subtitles, layout=query.layout())
        return JSONResponse(content, headers=headers)
    media_type = MEDIA_TYPES.get(query.format, "text/plain")
    text = write(transcript, query.format, layout=query.layout())
    return PlainTextResponse(text, headers=headers, media_type=media_type)
