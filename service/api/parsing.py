"""A request's form or query -> its fields, checked one by one.

They are parsed here and not by FastAPI's `Form` and `Query` models for three reasons. A list may be
sent with brackets or without (`timestamp_granularities[]` from OpenAI's clients). A field that is
sent twice is an error, where FastAPI takes the last one. And FastAPI parses a form with Starlette's
parser, which puts uploads on the disk and gives other requests no turn while it works.
"""

import contextlib
import difflib
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException

from asr.errors import BadOption
from asr.files import is_text
from asr.transcript import FORMATS, check_layout
from service.access.upload_limits import refuse_encoded
from service.api.dependencies import JobService
from service.api.fields import (
    SPEAKERS,
    WITHOUT_EFFECT,
    AlignForm,
    AnswerFields,
    Fields,
    JobForm,
    LayoutFields,
    RequestFields,
    ResultQuery,
    SpeechQuery,
    TranscribeQuery,
    TranscriptionForm,
)
from service.api.parts import CHARSETS, FormParser, SpoolParser, not_utf8, pieces
from service.errors import ApiError, missing_field
from service.jobs.disk import disk_failed, spool_full
from service.jobs.spool import SpoolFull

_BRACKETS = re.compile(r"\[\w*\]$")

Checked = TypeVar("Checked", bound=Fields)
Form = TypeVar("Form", TranscriptionForm, JobForm, AlignForm)


async def read_form(request: Request) -> AsyncIterator[TranscriptionForm]:
    """The request's form; its file is closed when the request is over."""
    parser = FormParser(request.headers, pieces(request.stream()), max_files=2)
    async with _form(request, parser, TranscriptionForm) as form:
        _check_together(form)
        yield form


async def read_align_form(request: Request) -> AsyncIterator[AlignForm]:
    """The request's form; its file is closed when the request is over."""
    parser = FormParser(request.headers, pieces(request.stream()), max_files=2)
    async with _form(request, parser, AlignForm) as form:
        _check_layout(form, [form.response_format])
        yield form


async def read_job_form(request: Request, jobs: JobService) -> AsyncIterator[JobForm]:
    """The request's form, whose file is in the spool; it stays there if the job is accepted."""
    spool = jobs.spool
    refuse_encoded(request.headers)
    parser = SpoolParser(spool, request.headers, pieces(request.stream()), max_files=2)
    try:
        length = request.headers.get("content-length", "")
        if length.isdecimal() and not spool.has_room(int(length)):
            raise SpoolFull
        async with _form(request, parser, JobForm) as form:
            _check_together(form)
            if form.stream:
                raise _conflict("stream", "a job has events of its own: leave stream out.")
            yield form
    except SpoolFull as error:
        raise spool_full() from error
    except OSError as error:
        raise disk_failed(error) from error
    finally:  # also of files that broke off
        for upload in parser.uploads:
            await run_in_threadpool(upload.close)


@contextlib.asynccontextmanager
async def _form(request: Request, parser: FormParser, kind: type[Form]) -> AsyncIterator[Form]:
    if name := next(iter(request.query_params), None):
        message = f"The query has {name[:100]!r}: send it as a field of the form instead."
        raise ApiError(422, message, param=name[:100], code="unknown_field")
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != b"multipart/form-data":
        raise missing_field("file")
    if options.get(b"charset", b"utf-8").lower() not in CHARSETS:
        raise ApiError(400, "The form cannot be read: its charset must be utf-8.")
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise ApiError(400, f"The form cannot be read: {error.message}") from error
    try:
        checked = read_fields(kind, form.multi_items(), "body")
        _check_coding(checked.file.headers)
        yield checked
    finally:
        await form.close()


async def read_recording(request: Request) -> bytes:
    """The request's body, which is the recording itself."""
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError(
            422,
            "The body is a form: send the recording itself, as `curl --data-binary "
            "@recording.wav` does, or the form to /v1/audio/transcriptions.",
            param="body",
            code="invalid_value",
        )
    return await request.body()


def read_result_query(request: Request) -> ResultQuery:
    """The request's query."""
    query = read_fields(ResultQuery, _query(request), "query")
    _check_shape(query)
    _check_layout(query, [query.response_format])
    return query


def read_speech_query(request: Request) -> SpeechQuery:
    """The request's query."""
    return read_fields(SpeechQuery, _query(request), "query")


def read_query(request: Request) -> TranscribeQuery:
    """The request's query."""
    query = read_fields(TranscribeQuery, _query(request), "query")
    if query.multichannel and (query.format != "json" or query.subtitles):
        raise _conflict("multichannel", "multichannel answers in json, without subtitles.")
    if query.subtitles and query.format != "json":
        raise _conflict("subtitles", f"subtitles come beside json, not {query.format!r}.")
    if (query.nbest or 1) > 1 and query.format != "json":
        raise _conflict("nbest", f"alternatives come in json, not {query.format!r}.")
    if query.multichannel and query.channels != "mix":
        raise _conflict("channels", "multichannel reads each channel already: leave channels out.")
    _check_channels(query)
    _check_layout(query, [query.format, *([query.subtitles] if query.subtitles else [])])
    return query


def _query(request: Request) -> list[tuple[str, str]]:
    """The fields of the request's query."""
    sent = request.scope["query_string"].decode("ascii", "surrogateescape")
    items = parse_qsl(sent, keep_blank_values=True, errors="surrogateescape")
    for name, value in items:
        if not is_text(name + value):
            raise not_utf8(name.encode("ascii", "replace").decode(), "not in UTF-8")
    return items


def read_fields(kind: type[Checked], items: Iterable[tuple[str, Any]], place: str) -> Checked:
    """The fields in `items`, which are from the request's `place`, body or query.

    An empty field counts as missing, since many clients send missing fields like that.
    """
    lists = {name for name, field in kind.model_fields.items() if isinstance(field.default, list)}
    fields: dict[str, Any] = {}
    for key, value in items:
        name = _BRACKETS.sub("", key)
        if not isinstance(value, str) and name in kind.model_fields and name != "file":
            message = (
                f"The field {name!r} came as a file: send its text, as "
                f'`curl -F "{name}=<text.txt"` does with what is in a file.'
            )
            raise ApiError(422, message, param=name, code="invalid_value")
        if name in lists and key in (name, f"{name}[]"):
            if value != "":
                fields.setdefault(name, []).append(value)
        elif key in kind.model_fields:
            if key in fields:
                message = f"The field {key!r} came twice."
                raise ApiError(422, message, param=key, code="repeated_field")
            if value != "":
                fields[key] = value
        elif not issubclass(kind, TranscriptionForm) or name not in WITHOUT_EFFECT:
            raise _unknown_field(kind, key, name)
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        # With locations like those of FastAPI's own errors.
        located = [{**detail, "loc": (place, *detail["loc"])} for detail in error.errors()]
        raise RequestValidationError(located) from error


def _check_coding(headers: Headers) -> None:
    """Refuse a file that is encoded, according to the headers of its part."""
    for name in ("content-encoding", "content-transfer-encoding"):
        coding = headers.get(name, "identity").strip().lower()
        if coding not in ("identity", "binary", "8bit", "7bit"):
            message = (
                f"The file is encoded as {coding[:100]!r} ({name}): send its bytes as they are."
            )
            raise ApiError(415, message, param="file", code="unsupported_encoding")


def _check_together(form: TranscriptionForm) -> None:
    """Refuse fields that would have no effect on the requested answer."""
    chosen = form.response_format
    _check_shape(form)
    if form.stream and chosen not in ("json", "text", "diarized_json"):
        raise _conflict("stream", f"a stream has events of its own: leave {chosen!r} out.")
    if (form.nbest or 1) > 1 and (form.stream or chosen not in ("json", "verbose_json")):
        raise _conflict("nbest", "alternatives come with json and verbose_json, not streamed.")
    _check_channels(form)
    if chosen == "diarized_json" and form.channels != "split":
        raise _conflict(
            "response_format",
            "speakers' turns need channels=split: this model tells speakers apart by channel only.",
        )
    _check_layout(form, [chosen])


def _check_shape(fields: AnswerFields) -> None:
    """Refuse what has no effect on the requested format."""
    chosen = fields.response_format
    if "word" in fields.timestamp_granularities and chosen != "verbose_json":
        raise _conflict(
            "timestamp_granularities",
            f"word times come with response_format verbose_json only, got {chosen!r}.",
        )
    if fields.include and chosen != "json":
        raise _conflict("include", f"logprobs come with response_format json only, got {chosen!r}.")


def _check_channels(fields: RequestFields) -> None:
    """Refuse what has no effect on channels that are, or are not, read each by itself."""
    split = fields.channels == "split"
    if split and (fields.nbest or 1) > 1:
        raise _conflict("nbest", "alternatives come for one channel, not with channels=split.")
    if fields.speakers and not split:
        raise _conflict("speakers", "speakers are named where channels=split.")


def _check_layout(fields: LayoutFields, formats: list[str]) -> None:
    """Refuse an option of the layout that cannot be, or has no effect on the requested answer."""
    try:
        layout = fields.layout()
        if "diarized_json" in formats:
            layout = replace(layout, speakers="")
        check_layout(layout, [one if one in FORMATS else "json" for one in formats])
    except BadOption as error:  # whose sentence starts with the option's name
        raise _conflict(str(error).partition(" ")[0], str(error)) from error


def _conflict(param: str, message: str) -> ApiError:
    sentence = message[:1].upper() + message[1:]
    return ApiError(422, sentence, param=param, code="invalid_value")


def _unknown_field(kind: type[Fields], key: str, name: str) -> ApiError:
    if issubclass(kind, TranscriptionForm) and name in SPEAKERS:
        message = f"The field {name!r} is not served: this model tells no speakers apart."
        return ApiError(422, message, param=name, code="unsupported_field")
    known = list(kind.model_fields)
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(known)}."
    message = f"The field {key[:100]!r} is not known: {hint}"
    return ApiError(422, message, param=key[:100], code="unknown_field")
