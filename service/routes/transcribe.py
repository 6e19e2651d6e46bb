"""`POST /v1/transcribe`: the recording is the body, options are the query; no form at all."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import Field

from asr.transcript import write
from service.answers import Alternative, Answer, Seconds, Share, server_timing
from service.errors import ApiError, refusals
from service.fields import TranscribeQuery, query_parameters
from service.form import read_query
from service.hangup import unless_gone
from service.shelf import Heard, TheShelf

router = APIRouter(prefix="/v1", tags=["transcriptions"])

_MEDIA_TYPES = {"vtt": "text/vtt", "tsv": "text/tab-separated-values"}


class SpokenWord(Answer):
    """One word, with its times in seconds."""

    text: str
    start: Seconds
    end: Seconds
    confidence: Share


class Spoken(Answer):
    """What was said: what `asr transcribe --format json` prints."""

    text: Annotated[str, Field(examples=["a man said to the universe sir i exist"])]
    words: list[SpokenWord]
    confidence: Share
    duration: Seconds
    no_speech: bool
    alternatives: list[Alternative] | None = None
    """With `nbest` above 1."""
    subtitles: str | None = None
    """With `subtitles`, in the format that it names."""


class SpokenApart(Answer):
    """What was said on each channel, with `multichannel=true`."""

    channels: list[Spoken]
    duration: Seconds


_SOUND = {"schema": {"type": "string", "format": "binary"}}
_TEXT = {"schema": {"type": "string"}}
_ANSWERS: dict[str, Any] = {
    "model": Spoken | SpokenApart,
    "description": "The words, in the format that was asked for.",
    "headers": {
        "x-request-id": {"schema": {"type": "string"}},
        "server-timing": {
            "schema": {"type": "string"},
            "description": "Milliseconds of each stage: decode, queue, model, text.",
        },
    },
    "content": dict.fromkeys(("text/plain", *_MEDIA_TYPES.values()), _TEXT),
}


@router.post(
    "/transcribe",
    response_model=None,
    responses={200: _ANSWERS, **refusals(401, 404, 413, 415, 422, 429, 500, 503, 504)},
    openapi_extra={
        "parameters": query_parameters(),
        "requestBody": {
            "required": True,
            "description": "The recording: wav, flac, mp3, ogg, opus, m4a, mp4 or webm, told by "
            "its bytes, whatever its type is said to be.",
            "content": {"application/octet-stream": _SOUND, "audio/*": _SOUND},
        },
    },
)
async def transcribe(
    request: Request, query: Annotated[TranscribeQuery, Depends(read_query)], shelf: TheShelf
) -> Response:
    """What is said in the recording that is the request's body."""
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError(
            422,
            "The body is a form: send the recording itself, as `curl --data-binary "
            "@recording.wav` does, or the form to /v1/audio/transcriptions.",
            param="body",
            code="invalid_value",
        )
    body = await request.body()
    work = shelf.hear(query, body, "the upload", channels=query.multichannel)
    heard = await unless_gone(request, work)
    return await run_in_threadpool(_answer, query, heard)


def _answer(query: TranscribeQuery, heard: Heard) -> Response:
    headers = server_timing(heard.timings)
    if query.multichannel:
        channels = [transcript.to_dict() for transcript in heard.transcripts]
        content = {"channels": channels, "duration": channels[0]["duration"]}
        return JSONResponse(content, headers=headers)
    (transcript,) = heard.transcripts
    if query.format == "json":
        content = transcript.to_dict()
        if query.subtitles:
            content["subtitles"] = write(transcript, query.subtitles)
        return JSONResponse(content, headers=headers)
    media_type = _MEDIA_TYPES.get(query.format, "text/plain")
    text = write(transcript, query.format)
    return PlainTextResponse(text, headers=headers, media_type=media_type)
