"""The transcription request: OpenAI's form fields, checked one by one.

The form is read here rather than by FastAPI because a field may come with brackets or without
(`timestamp_granularities[]` from OpenAI's clients), must not come twice, and must never be passed
over in silence.
"""

import difflib
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from starlette.datastructures import FormData

from service.errors import ApiError

_LISTS = {"timestamp_granularities"}
# OpenAI's fields that change the answer in ways that are not built here.
_NOT_SERVED = {
    "chunking_strategy",
    "include",
    "keywords",
    "known_speaker_names",
    "known_speaker_references",
    "languages",
}


class TranscriptionForm(BaseModel):
    """What a client sends to have a recording transcribed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    file: UploadFile
    """The recording: wav, flac, mp3, ogg, opus, m4a, mp4 or webm, told by its bytes."""
    model: str = "whisper-1"
    """The served model's id, or one of OpenAI's names, which stand for it."""
    language: Literal["en"] = "en"
    """The language spoken."""
    prompt: str = ""
    """Accepted for OpenAI's clients; it has no effect on this kind of model."""
    response_format: Literal["json", "text", "verbose_json"] = "json"
    """`verbose_json` has times and confidence."""
    temperature: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Accepted for OpenAI's clients; this kind of model samples nothing."""
    timestamp_granularities: list[Literal["word", "segment"]] = ["segment"]
    """`word` adds the words' times to `verbose_json`; also taken with `[]` behind the name."""
    stream: bool = False
    """Only `false` for now."""

    @field_validator("stream")
    @classmethod
    def _not_streamed(cls, stream: bool) -> bool:
        if stream:
            raise PydanticCustomError("not_served", "Streaming is not served yet: leave it out")
        return stream


async def read_form(request: Request) -> AsyncIterator[TranscriptionForm]:
    """The request's form; its file is closed when the request is over."""
    async with request.form() as form:
        try:
            checked = TranscriptionForm.model_validate(_fields(form))
        except ValidationError as error:
            # Located as FastAPI locates the errors that it finds itself.
            located = [{**found, "loc": ("body", *found["loc"])} for found in error.errors()]
            raise RequestValidationError(located) from error
        if "word" in checked.timestamp_granularities and checked.response_format != "verbose_json":
            raise ApiError(
                422,
                "Word times come with response_format verbose_json only, got "
                f"{checked.response_format!r}.",
                param="timestamp_granularities",
                code="invalid_value",
            )
        yield checked


def _fields(form: FormData) -> dict[str, Any]:
    """Name without brackets -> value, or list of values where the field is a list."""
    fields: dict[str, Any] = {}
    for key, value in form.multi_items():
        name = key.partition("[")[0]
        if name in _LISTS and key in (name, f"{name}[]"):
            fields.setdefault(name, []).append(value)
            continue
        if key not in TranscriptionForm.model_fields:
            raise _unknown_field(key, name)
        if key in fields:
            raise ApiError(422, f"The field {key!r} came twice.", param=key, code="repeated_field")
        fields[key] = value
    if isinstance(fields.get("file"), str):
        raise ApiError(
            422,
            "The field 'file' holds text: send the recording itself as a file part, as "
            "`curl -F file=@recording.wav` does.",
            param="file",
            code="invalid_value",
        )
    return fields


def _unknown_field(key: str, name: str) -> ApiError:
    if name in _NOT_SERVED:
        message = f"The field {name!r} is not served here (yet): leave it out."
        return ApiError(422, message, param=name, code="unsupported_field")
    known = list(TranscriptionForm.model_fields)
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(known)}."
    message = f"The field {key[:100]!r} is not known: {hint}"
    return ApiError(422, message, param=key[:100], code="unknown_field")
