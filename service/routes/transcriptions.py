"""`POST /v1/audio/transcriptions`, as OpenAI's clients call it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel

from asr.transcript import write
from service.answers import Transcription, VerboseTranscription, brief, server_timing, verbose
from service.errors import refusals
from service.events import STREAM_SCHEMA, streamed
from service.fields import TranscriptionForm, form_schema
from service.form import read_form
from service.hangup import unless_gone
from service.shelf import Heard, TheShelf

router = APIRouter(prefix="/v1/audio", tags=["transcriptions"])

_MEDIA_TYPES = {"text": "text/plain", "srt": "text/plain", "vtt": "text/vtt"}
_ANSWERS: dict[str, Any] = {
    "model": Transcription | VerboseTranscription,
    "description": "The words, in the format that was asked for.",
    "headers": {
        "x-request-id": {"schema": {"type": "string"}},
        "server-timing": {
            "schema": {"type": "string"},
            "description": "Milliseconds of each stage: decode, queue, model, text.",
        },
    },
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
    "/transcriptions",
    response_model=None,
    responses={200: _ANSWERS, **refusals(400, 401, 404, 413, 415, 422, 429, 500, 503, 504)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form_schema()}},
        }
    },
)
async def transcribe(
    request: Request, form: Annotated[TranscriptionForm, Depends(read_form)], shelf: TheShelf
) -> Response:
    """What is said in a recording, answered as OpenAI's endpoint does."""
    body, name = await form.file.read(), form.file.filename or "the upload"
    work = shelf.hear(form, body, name)
    if form.stream:
        return await streamed(request, work, with_logprobs=bool(form.include))
    heard = await unless_gone(request, work)
    return await run_in_threadpool(_answer, form, heard)


def _answer(form: TranscriptionForm, heard: Heard) -> Response:
    (transcript,) = heard.transcripts
    headers = server_timing(heard.timings)
    chosen = form.response_format
    if chosen == "json":
        return _json(brief(transcript, with_logprobs=bool(form.include)), headers)
    if chosen == "verbose_json":
        with_words = "word" in form.timestamp_granularities
        encode = heard.recognizer.bundle.tokenizer.encode
        return _json(verbose(transcript, with_words, encode, heard.timings), headers)
    text = transcript.text if chosen == "text" else write(transcript, chosen)
    return PlainTextResponse(text, headers=headers, media_type=_MEDIA_TYPES[chosen])


def _json(answer: BaseModel, headers: dict[str, str]) -> Response:
    body = answer.model_dump_json(exclude_none=True)
    return Response(body, headers=headers, media_type="application/json")
