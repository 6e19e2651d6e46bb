"""Every error as a client sees it: a status and OpenAI's body, decided here and nowhere else.

    {"error": {"message": ..., "type": ..., "param": ..., "code": ...}}

OpenAI's clients send a request again after 408, 409, 429 and 5xx, so a client's own mistake must
never be one of those.
"""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pydantic_core import ErrorDetails
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from asr.errors import AsrError, BadAudio, BadOption, TooLong

log = logging.getLogger(__name__)


class ErrorDetail(BaseModel):
    """What went wrong, in OpenAI's words."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class ApiError(Exception):
    """A refusal: the status, the sentence, and the field or header it is about."""

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


# The recogniser's errors that a client can mend: status, field, code. Others are faults of ours.
_RECOGNISER_ERRORS: dict[type[AsrError], tuple[int, str | None, str]] = {
    BadAudio: (415, "file", "unsupported_audio"),
    TooLong: (413, "file", "audio_too_long"),
    BadOption: (422, None, "invalid_option"),
}


def add_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every expected error in OpenAI's shape."""
    for expected in (ApiError, HTTPException, RequestValidationError, *_RECOGNISER_ERRORS):
        app.add_exception_handler(expected, answer)


async def answer(request: Request, error: Exception) -> JSONResponse:
    """The response that tells the client of `error`; it is logged with the request's id."""
    told = _as_api_error(request, error)
    log.log(
        logging.ERROR if told.status == 500 else logging.INFO,
        "%d %s %r [%s]: %r",
        told.status,
        request.method,
        request.url.path,
        request.state.request_id,
        told.detail.message,
        exc_info=error if told.status == 500 else None,
    )
    body = ErrorBody(error=told.detail)
    return JSONResponse(body.model_dump(), told.status, headers=told.headers)


def complaint(error: ErrorDetails) -> str:
    """Pydantic's finding about one value, as the second half of a sentence."""
    message = error["msg"].removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}, got {repr(error['input'])[:100]}"


def _as_api_error(request: Request, error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return _wrong_field(error.errors()[0])
    if isinstance(error, HTTPException):
        return _http_error(request, error)
    for known, (status, param, code) in _RECOGNISER_ERRORS.items():
        if isinstance(error, known):
            return ApiError(status, str(error), param=param, code=code)
    return ApiError(
        500,
        "The service failed on this request through no fault of yours; its log tells more under "
        f"the id {request.state.request_id}.",
        code="internal_error",
    )


def _wrong_field(error: ErrorDetails) -> ApiError:
    place, *path = error["loc"]  # ("body", field, index in a list)
    name = str(path[0] if path else place)
    if error["type"] == "missing":
        message = f"The field {name!r} is missing: send it as a part of multipart/form-data."
        return ApiError(422, message, param=name, code="missing_field")
    message = f"The field {name!r} does not fit: {complaint(error)}."
    return ApiError(422, message, param=name, code="invalid_value")


def _http_error(request: Request, error: HTTPException) -> ApiError:
    path, method = request.url.path, request.method
    allowed = Headers(error.headers).get("allow", "other methods")
    messages = {
        404: f"There is nothing at {path}; /openapi.json lists what this service answers.",
        405: f"{path} does not take {method}; it takes {allowed}.",
    }
    message = messages.get(error.status_code, f"The request cannot be read: {error.detail}")
    return ApiError(error.status_code, message, headers=error.headers)
