"""`POST /v1/audio/transcriptions`, as OpenAI's clients call it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from service.answers import Transcription, VerboseTranscription, brief, verbose
from service.errors import ErrorBody
from service.form import TranscriptionForm, read_form
from service.routes.models import no_such_model
from service.transcriber import TheTranscriber

router = APIRouter(prefix="/v1/audio", tags=["transcriptions"])

# Names that clients have built in and that stand for whatever model is served.
_OPENAI_NAMES = {"whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"}

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
    **{status: {"model": ErrorBody} for status in (400, 404, 413, 415, 422, 500, 503)},
}
_REQUEST = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": TranscriptionForm.model_json_schema()}},
    }
}


@router.post(
    "/transcriptions",
    response_model=Transcription | VerboseTranscription,
    response_model_exclude_none=True,
    responses=_RESPONSES,
    openapi_extra=_REQUEST,
)
async def transcribe(
    form: Annotated[TranscriptionForm, Depends(read_form)], transcriber: TheTranscriber
) -> Transcription | VerboseTranscription | PlainTextResponse:
    """What is said in a recording."""
    if form.model not in _OPENAI_NAMES | {transcriber.model_id}:
        raise no_such_model(form.model, transcriber.model_id)
    transcript = await transcriber.transcribe(form.file)
    if form.response_format == "text":
        return PlainTextResponse(transcript.text)
    if form.response_format == "json":
        return brief(transcript)
    with_words = "word" in form.timestamp_granularities
    return verbose(transcript, with_words, transcriber.recognizer.bundle.tokenizer.encode)
