"""A request's form or query -> its fields, checked one by one.

They are read here rather than by FastAPI because a list may come with brackets or without
(`timestamp_granularities[]` from OpenAI's clients), nothing may come twice, and nothing must be
passed over in silence.
"""

import difflib
import re
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.formparsers import MultiPartException, MultiPartParser

from service.errors import ApiError
from service.fields import SPEAKERS, WITHOUT_EFFECT, Reading, TranscribeQuery, TranscriptionForm

_BRACKETS = re.compile(r"\[\w*\]$")

Fields = TypeVar("Fields", bound=Reading)


async def read_form(request: Request) -> AsyncIterator[TranscriptionForm]:
    """The request's form; its file is let go of when the request is over."""
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith("multipart/form-data"):
        try:
            form = await _Parser(request.headers, request.stream(), max_files=2).parse()
        except MultiPartException as error:
            raise ApiError(400, f"The form cannot be read: {error.message}") from error
    else:
        form = await request.form()
    try:
        checked = read_fields(TranscriptionForm, form.multi_items(), "body")
        _check_together(checked)
        yield checked
    finally:
        await form.close()


class _Parser(MultiPartParser):
    """Keeps the upload in memory, which the limit on a body bounds: no disk can be full."""

    spool_max_size = sys.maxsize


def read_query(request: Request) -> TranscribeQuery:
    """The request's query."""
    query = read_fields(TranscribeQuery, request.query_params.multi_items(), "query")
    if query.multichannel and (query.format != "json" or query.subtitles):
        raise _conflict("multichannel", "multichannel answers in json, without subtitles.")
    if query.subtitles and query.format != "json":
        raise _conflict("subtitles", f"subtitles come beside json, not {query.format!r}.")
    if (query.nbest or 1) > 1 and query.format != "json":
        raise _conflict("nbest", f"alternatives come in json, not {query.format!r}.")
    return query


def read_fields(kind: type[Fields], items: Iterable[tuple[str, Any]], place: str) -> Fields:
    """The fields in `items`, which come from the request's `place`, body or query."""
    lists = {name for name, field in kind.model_fields.items() if isinstance(field.default, list)}
    fields: dict[str, Any] = {}
    for key, value in items:
        name = _BRACKETS.sub("", key)
        if name in lists and key in (name, f"{name}[]"):
            fields.setdefault(name, []).append(value)
        elif key in kind.model_fields:
            if key in fields:
                message = f"The field {key!r} came twice."
                raise ApiError(422, message, param=key, code="repeated_field")
            fields[key] = value
        elif kind is not TranscriptionForm or name not in WITHOUT_EFFECT:
            raise _unknown_field(kind, key, name)
    if isinstance(fields.get("file"), str):
        raise ApiError(
            422,
            "The field 'file' holds text: send the recording itself as a file part, as "
            "`curl -F file=@recording.wav` does.",
            param="file",
            code="invalid_value",
        )
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        # Located as FastAPI locates the errors that it finds itself.
        located = [{**found, "loc": (place, *found["loc"])} for found in error.errors()]
        raise RequestValidationError(located) from error


def _check_together(form: TranscriptionForm) -> None:
    """Refuses what would have no effect on the answer that is asked for."""
    chosen = form.response_format
    if "word" in form.timestamp_granularities and chosen != "verbose_json":
        raise _conflict(
            "timestamp_granularities",
            f"word times come with response_format verbose_json only, got {chosen!r}.",
        )
    if form.include and chosen != "json":
        raise _conflict("include", f"logprobs come with response_format json only, got {chosen!r}.")
    if form.stream and chosen not in ("json", "text"):
        raise _conflict("stream", f"a stream has events of its own: leave {chosen!r} out.")
    if (form.nbest or 1) > 1 and (form.stream or chosen not in ("json", "verbose_json")):
        raise _conflict("nbest", "alternatives come with json and verbose_json, not streamed.")


def _conflict(param: str, message: str) -> ApiError:
    sentence = message[:1].upper() + message[1:]
    return ApiError(422, sentence, param=param, code="invalid_value")


def _unknown_field(kind: type[Reading], key: str, name: str) -> ApiError:
    if kind is TranscriptionForm and name in SPEAKERS:
        message = f"The field {name!r} is not served: this model tells no speakers apart."
        return ApiError(422, message, param=name, code="unsupported_field")
    known = list(kind.model_fields)
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(known)}."
    message = f"The field {key[:100]!r} is not known: {hint}"
    return ApiError(422, message, param=key[:100], code="unknown_field")
