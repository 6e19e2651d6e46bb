"""`POST /v1/audio/transcriptions`, as OpenAI's clients call it."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from service.access.disconnects import cancel_on_disconnect
from service.api.answers import shaped
from service.api.dependencies import Registry, note
from service.api.events import STREAM_SCHEMA, Shape, streamed
from service.api.fields import TranscriptionForm, form_schema
from service.api.parsing import read_form
from service.api.responses import (
    HEADERS,
    DiarizedTranscription,
    Transcription,
    VerboseTranscription,
)
from service.errors import refusals

PATH = "/v1/audio/transcriptions"
router = APIRouter(tags=["transcriptions"])

LONGEST_NAME = 255
"""Characters of a file's name that are kept, as in most file systems."""
_ANSWERS: dict[str, Any] = {
    "model": Transcription | VerboseTranscription | DiarizedTranscription,
    "description": "The words, in the requested format.",
    "headers": HEADERS,
    "content": {
        "text/plain": {"schema": {"type": "string"}, "example": "a man said to the universe"},
        "text/vtt": {
            "schema": {"type": "string"},
            "example": "WEBVTT\n\n00:00:00.520 --> 00:00:01.520\na man said\n",
        },
        "text/event-stream": STREAM_SCHEMA,
    },
}


@router.post(
    PATH,
    response_model=None,
    responses={200: _ANSWERS, **refusals(400, 401, 404, 408, 413, 415, 422, 429, 500, 503, 504)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form_schema()}},
        }
    },
)
async def transcribe(
    request: Request, form: Annotated[TranscriptionForm, Depends(read_form)], registry: Registry
) -> Response:
    """Transcribe a recording and answer as OpenAI's endpoint does."""
    body, name = await form.file.read(), (form.file.filename or "the upload")[:LONGEST_NAME]
    work = partial(
        registry.transcribe, form.model, form.options, body, name, form.channels, form.track
    )
    if form.stream:
        turns = form.layout() if form.response_format == "diarized_json" else None
        return await streamed(request, work, Shape(bool(form.include), turns))
    result = await cancel_on_disconnect(request, work())
    note(request, result)
    return await run_in_threadpool(
        shaped, form, result.transcript, result.timings, result.recognizer
    )
