"""Every error that clients see: its status, and its body in OpenAI's shape.

    {"error": {"message": ..., "type": ..., "param": ..., "code": ...}}

OpenAI's clients retry after 408, 409, 429 and 5xx, so a client's own mistake must never have one of
those.
"""

import logging
import uuid
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from asr.errors import AsrError, BadAudio, BadOption, TooLong, ended

log = logging.getLogger(__name__)

_LONGEST_PATH = 200
"""Characters of a path that an error repeats."""


class ErrorDetail(BaseModel):
    """An error in OpenAI's shape."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    message: str
    """One sentence: what is wrong, where, and what to do."""
    type: Literal["invalid_request_error", "server_error"]
    """Whether the client or the server is at fault."""
    param: str | None
    """The field or header in question."""
    code: str | None
    """Identifies the kind of error for programs."""


class ErrorBody(BaseModel):
    """The body of every response that is not a success."""

    error: ErrorDetail


class EventErrorDetail(ErrorDetail):
    """An error on a WebSocket."""

    event_id: str | None = None
    """The client's event that it is about, as far as that has an id."""


class ErrorEvent(BaseModel):
    """An error, as an event on a WebSocket."""

    type: Literal["error"] = "error"
    event_id: str = Field(default_factory=lambda: f"event_{uuid.uuid4().hex}")
    error: EventErrorDetail


class ApiError(Exception):
    """An error for the client: the status, the sentence, and the field or header in question."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.detail = ErrorDetail(
            message=message,
            type="invalid_request_error" if status < 500 else "server_error",
            param=param,
            code=code,
        )
        self.headers = headers


# Errors of the recogniser that a client can fix: status, field, code. Others are our own faults.
_RECOGNISER_ERRORS: dict[type[AsrError], tuple[int, str | None, str]] = {
    BadAudio: (415, "file", "unsupported_audio"),
    TooLong: (413, "file", "audio_too_long"),
    BadOption: (422, None, "invalid_option"),
}


# Codes of errors whose field may have any name: what callers write is not logged.
_NAMED_BY_CALLERS = ("unknown_field", "not_utf8")

# Status -> when it occurs, and an example: code, field, sentence.
_EXAMPLES: dict[int, tuple[str, str | None, str | None, str]] = {
    400: (
        "The request cannot be read.",
        None,
        None,
        "The form cannot be read: Missing boundary in multipart.",
    ),
    401: (
        "API keys are configured, and the request has none of them.",
        "invalid_api_key",
        None,
        "The API key is missing or unknown: send Authorization: Bearer KEY.",
    ),
    403: (
        "Nobody may do this here.",
        "admin_off",
        None,
        "Nobody may do this here: set EARSHOT_ADMIN_KEYS to a line of `asr key NAME`.",
    ),
    404: (
        "There is no such model or job.",
        "model_not_found",
        "model",
        "The model 'gpt-9' does not exist here; this service has 'en'.",
    ),
    408: (
        "The body arrives too slowly.",
        "too_slow",
        None,
        "Of the body 12 bytes came in 20 s: send at least 500 bytes a second.",
    ),
    409: (
        "It is being done and has not ended.",
        "reloading",
        None,
        "The model 'en' is being reloaded.",
    ),
    413: (
        "The upload or the recording exceeds a limit.",
        "audio_too_long",
        "file",
        "talk.mp3 is too long: at least 7200.5 s, where 7200 s are allowed; cut it into shorter "
        "recordings",
    ),
    415: (
        "The upload is not a recording, or a damaged one.",
        "unsupported_audio",
        "file",
        "talk.wav is not a recording, by its content: give wav, flac, mp3, ogg, opus, m4a, mp4 "
        "or webm",
    ),
    422: (
        "A field is unknown, missing, or has an impossible value.",
        "unknown_field",
        "response-format",
        "The field 'response-format' is not known: did you mean 'response_format'?",
    ),
    429: (
        "This key has too much under way: try again after Retry-After seconds.",
        "too_many_requests",
        None,
        "This key has used up its requests for now: try again in 3 seconds.",
    ),
    500: (
        "A fault of the service.",
        "internal_error",
        None,
        "The service failed on this request through no fault of yours; its log says more under "
        "the id req_5f0c.",
    ),
    503: (
        "The model is not ready or the queue is full: try again after Retry-After seconds.",
        "not_ready",
        None,
        "The model is still being loaded: try again in a few seconds.",
    ),
    504: (
        "The deadline passed before the recording was transcribed.",
        "deadline_passed",
        None,
        "The recording was not transcribed within 120 s: send a shorter one, or try again when the "
        "load is lower.",
    ),
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its schema."""
    return {status: _documented(status) for status in statuses}


def _documented(status: int) -> dict[str, Any]:
    when, code, param, message = _EXAMPLES[status]
    example = ApiError(status, message, param=param, code=code).detail.model_dump()
    headers: dict[str, Any] = {
        "x-request-id": {"schema": {"type": "string"}, "description": "The request's id."}
    }
    if status in (429, 503):
        headers["retry-after"] = {
            "schema": {"type": "integer", "minimum": 0},
            "description": "Seconds to wait before another try.",
        }
    return {
        "model": ErrorBody,
        "description": when,
        "headers": headers,
        "content": {"application/json": {"example": {"error": example}}},
    }


def add_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every expected error in OpenAI's shape."""
    for expected in (ApiError, HTTPException, RequestValidationError, *_RECOGNISER_ERRORS):
        app.add_exception_handler(expected, answer)


async def answer(request: HTTPConnection, error: Exception) -> JSONResponse:
    """The response for an error, whose kind is noted for the log and the metrics.

    Its sentence may quote the caller, so it is for the caller alone.
    """
    api_error = _as_api_error(request, error)
    detail, status = api_error.detail, api_error.status
    request.state.refused = detail.code or f"http_{status}"
    # An unknown field is named by the caller.
    param = None if detail.code in _NAMED_BY_CALLERS else detail.param
    request.state.error = {"code": detail.code, "param": param}
    if status == 500:
        log.error("a request failed through a fault of the service", exc_info=error)
    return JSONResponse(ErrorBody(error=detail).model_dump(), status, headers=api_error.headers)


def error_event(error: ApiError, event_id: str | None = None) -> ErrorEvent:
    """The event for an error, which may be about a client's event of that id."""
    return ErrorEvent(error=EventErrorDetail(**error.detail.model_dump(), event_id=event_id))


def missing_field(name: str) -> ApiError:
    """The refusal of a form without the field of that name."""
    shown = "file=@recording.wav" if name == "file" else f"{name}=..."
    message = (
        f"The field {name!r} is missing: send it as a part of multipart/form-data, as "
        f"`curl -F {shown}` does."
    )
    return ApiError(422, message, param=name, code="missing_field")


def complaint(error: ErrorDetails) -> str:
    """Pydantic's message about one value, as the second half of a sentence."""
    message = error["msg"].removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}, got {repr(error['input'])[:100]}"


def _as_api_error(request: HTTPConnection, error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return _wrong_field(error.errors()[0])
    if isinstance(error, HTTPException):
        return _http_error(request, error)
    if (told := recogniser_error(error)) is not None:
        return told
    return ApiError(
        500,
        "The service failed on this request through no fault of yours; its log says more under "
        f"the id {request.state.request_id}.",
        code="internal_error",
    )


def recogniser_error(error: Exception) -> ApiError | None:
    """What a client is told of an error of the recogniser; None if it is our own fault."""
    for known, (status, param, code) in _RECOGNISER_ERRORS.items():
        if isinstance(error, known):
            if isinstance(error, BadOption):
                param = error.option
            return ApiError(status, ended(str(error)), param=param, code=code)
    return None


def _wrong_field(error: ErrorDetails) -> ApiError:
    place, *path = error["loc"]  # ("body", field, index in a list)
    name = str(path[0] if path else place)
    if error["type"] == "missing":
        return missing_field(name)
    message = f"The field {name!r} does not fit: {complaint(error)}."
    return ApiError(422, message, param=name, code="invalid_value")


def _http_error(request: HTTPConnection, error: HTTPException) -> ApiError:
    path, method = request.url.path, request.scope["method"]
    if len(path) > _LONGEST_PATH:
        path = f"{path[:_LONGEST_PATH]}…"
    allowed = Headers(error.headers).get("allow", "other methods")
    messages = {
        404: f"There is nothing at {path}; /openapi.json lists what this service answers.",
        405: f"{path} does not take {method}; it takes {allowed}.",
    }
    message = messages.get(error.status_code, f"The request cannot be read: {error.detail}")
    return ApiError(error.status_code, message, headers=error.headers)
