"""`POST /v1/align`: the times of the words of a known text."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from asr.transcript import write
from service.access.disconnects import cancel_on_disconnect
from service.api.answers import MEDIA_TYPES
from service.api.dependencies import Registry, note
from service.api.fields import AlignForm, form_schema
from service.api.parsing import read_align_form
from service.api.responses import HEADERS, server_timing
from service.api.routes.transcribe import Spoken, SpokenWord
from service.api.routes.transcriptions import LONGEST_NAME
from service.engine.transcriber import Result
from service.errors import refusals

PATH = "/v1/align"
router = APIRouter(tags=["transcriptions"])


class Aligned(Spoken):
    """A known text with the times of its words, as `asr align --format json` prints it."""

    unsaid: list[SpokenWord] | None = None
    """Words of the text that were not found, each where it would have been."""


_TEXT = {"schema": {"type": "string"}}
_ANSWERS: dict[str, Any] = {
    "model": Aligned,
    "description": "The words with their times, in the requested format.",
    "headers": HEADERS,
    "content": dict.fromkeys(("text/plain", *MEDIA_TYPES.values()), _TEXT),
}


@router.post(
    PATH,
    response_model=None,
    responses={200: _ANSWERS, **refusals(400, 401, 404, 408, 413, 415, 422, 429, 500, 503, 504)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form_schema(AlignForm)}},
        }
    },
)
async def align(
    request: Request, form: Annotated[AlignForm, Depends(read_align_form)], registry: Registry
) -> Response:
    """Find when each word of a text is said in a recording."""
    body, name = await form.file.read(), (form.file.filename or "the upload")[:LONGEST_NAME]
    work = registry.transcribe(form.model, form.known_text, body, name, form.channels, form.track)
    result = await cancel_on_disconnect(request, work)
    note(request, result)
    return await run_in_threadpool(_answer, form, result)


def _answer(form: AlignForm, result: Result) -> Response:
    headers = server_timing(result.timings)
    chosen = form.response_format
    if chosen == "json":
        return JSONResponse(result.transcript.to_dict(), headers=headers)
    text = write(result.transcript, chosen, layout=form.layout())
    media_type = MEDIA_TYPES.get(chosen, "text/plain")
    return PlainTextResponse(text, headers=headers, media_type=media_type)
