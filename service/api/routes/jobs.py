"""Jobs: a recording is taken in now, and transcribed when there is capacity."""

import contextlib
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import Field

from asr.runtime import Recognizer
from service.api.answers import MEDIA_TYPES, shaped
from service.api.dependencies import JobService, Key, Registry
from service.api.fields import JobForm, ResultQuery, form_schema, query_parameters
from service.api.job_events import EVENTS_SCHEMA, job_events, last_event
from service.api.parsing import read_job_form, read_result_query
from service.api.responses import (
    HEADERS,
    DiarizedTranscription,
    ResponseBody,
    Seconds,
    Transcription,
    VerboseTranscription,
)
from service.api.routes.transcriptions import LONGEST_NAME
from service.engine.registry import ModelRegistry
from service.errors import ApiError, ErrorDetail, refusals
from service.jobs.jobs import JobState
from service.jobs.records import Record
from service.jobs.spool import Upload

PATH = "/v1/jobs"
router = APIRouter(prefix=PATH, tags=["jobs"])

_SHAPE = ResultQuery.model_fields.keys() & JobForm.model_fields.keys()
_KEPT = ("model", "channels", "track")


class Job(ResponseBody):
    """A job, and how far it is."""

    id: str
    object: Literal["job"] = "job"
    state: Literal["waiting", "running", "done", "failed"]
    model: str
    """As the form named it."""
    file: str
    """The recording's name."""
    created: int
    """When it was posted, in seconds since 1970."""
    ended: int | None
    """When it was done or failed."""
    seconds: Seconds
    """Seconds of audio: an estimate until the recording is decoded; those of channels that are read
    each by itself add up."""
    heard: Seconds
    """Seconds of audio that are done."""
    place: int | None
    """Its place in the queue, from 1, while it waits."""
    left_seconds: Annotated[float, Field(ge=0)] | None
    """Seconds that it will probably take until it has ended."""
    error: ErrorDetail | None
    """Why it failed."""


class Deleted(ResponseBody):
    """The job is cancelled and forgotten."""

    id: str
    object: Literal["job"] = "job"
    deleted: Literal[True] = True


_TEXT = {"schema": {"type": "string"}}
_RESULT: dict[str, Any] = {
    "model": Transcription | VerboseTranscription | DiarizedTranscription,
    "description": "The words, in the requested format.",
    "headers": HEADERS,
    "content": dict.fromkeys(("text/plain", *MEDIA_TYPES.values()), _TEXT),
}
_OTHERS = (401, 403, 404, 422, 503)


@router.post(
    "",
    status_code=202,
    response_model=Job,
    responses={
        200: {"model": Job, "description": "The job that this one repeats."},
        **refusals(400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form_schema(JobForm)}},
        }
    },
)
async def post_job(
    request: Request,
    form: Annotated[JobForm, Depends(read_job_form)],
    jobs: JobService,
    registry: Registry,
    key: Key,
    idempotency_key: Annotated[
        str | None,
        Header(description="Makes a repeated request the same job.", min_length=1, max_length=255),
    ] = None,
) -> JSONResponse:
    """Take in a recording, to be transcribed when there is capacity."""
    upload: Upload = form.file.file  # type: ignore[assignment]  # the parser's
    recognizer = registry.find(form.model).recognizer
    options = await run_in_threadpool(form.options, recognizer)
    if form.callback_url is not None:
        jobs.check_callback(form.callback_url)
    record = _record(form, upload, key, options, registry, idempotency_key)
    record, is_new = await jobs.accept(upload, record)
    root: str = request.app.state.settings.root_path
    location = {"location": f"{root}{PATH}/{record.id}"}
    body = _described(jobs.state(record)).model_dump()
    return JSONResponse(body, 202 if is_new else 200, headers=location)


def _record(
    form: JobForm,
    upload: Upload,
    key: str,
    options: dict[str, Any],
    registry: ModelRegistry,
    idempotency_key: str | None,
) -> Record:
    fields = form.model_dump(include={*_KEPT, *_SHAPE})
    return Record(
        id=upload.id,
        key=key,
        digest=upload.digest(form.model_dump_json(exclude={"file"})),
        name=(form.file.filename or "the upload")[:LONGEST_NAME],
        bytes=upload.size,
        fields=fields,
        options=options,
        created=time.time(),
        seconds=registry.find(form.model).estimate(upload.head, upload.size),
        callback=form.callback_url,
        repeats=idempotency_key,
    )


@router.get("/{job_id}", responses=refusals(*_OTHERS))
async def get_job(job_id: str, jobs: JobService, key: Key) -> Job:
    """How far a job is."""
    return _described(jobs.state(await jobs.find(job_id, key)))


@router.delete("/{job_id}", responses=refusals(*_OTHERS))
async def delete_job(job_id: str, jobs: JobService, key: Key) -> Deleted:
    """Cancel a job, and forget it with its result."""
    await jobs.delete(await jobs.find(job_id, key))
    return Deleted(id=job_id)


@router.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        204: {"description": "The end of the job was sent before: there is nothing more."},
        200: {
            "description": "Its segments, and how far it is.",
            "content": {"text/event-stream": EVENTS_SCHEMA},
        },
        **refusals(*_OTHERS),
    },
    openapi_extra={
        "parameters": [
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "description": "The id of the last event that came: only later ones are sent.",
                "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
            }
        ]
    },
)
async def get_events(request: Request, job_id: str, jobs: JobService, key: Key) -> Response:
    """Progress and segments of a job as server-sent events, until it has ended."""
    after = last_event(request)
    record = await jobs.find(job_id, key)
    if record.has_ended and after > len(await jobs.segments(record)):
        return Response(status_code=204)  # on which a browser's EventSource stops to ask
    return StreamingResponse(
        job_events(jobs, record, after),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
    )


@router.get(
    "/{job_id}/result",
    response_model=None,
    responses={200: _RESULT, **refusals(*_OTHERS, 409, 413, 415, 500, 504)},
    openapi_extra={"parameters": query_parameters(ResultQuery)},
)
async def get_result(
    request: Request, job_id: str, jobs: JobService, registry: Registry, key: Key
) -> Response:
    """The words of a job that is done, in the format of its form or of the query."""
    record = await jobs.find(job_id, key)
    query = read_result_query(request) if request.query_params else None
    _refuse_without_result(record)
    fields = query or ResultQuery(**{name: record.fields[name] for name in _SHAPE})
    _check_speakers(fields, record.fields["channels"])
    outcome = await jobs.outcome(record)
    recognizer = _recognizer(registry, record.fields["model"])
    return await run_in_threadpool(shaped, fields, outcome.transcript, outcome.timings, recognizer)


def _check_speakers(fields: ResultQuery, channels: str) -> None:
    """Refuse speakers of a job whose channels were not read each by itself."""
    if channels == "split":
        return
    for name, is_given in {
        "speakers": fields.speakers,
        "response_format": fields.response_format == "diarized_json",
    }.items():
        if is_given:
            message = "Speakers are named where the job has channels=split."
            raise ApiError(422, message, param=name, code="invalid_value")


def _recognizer(registry: ModelRegistry, model: str) -> Recognizer:
    """The model's recogniser; that of the first model if it is served no more."""
    with contextlib.suppress(ApiError):
        return registry.find(model).recognizer
    return registry.first.recognizer


def _refuse_without_result(record: Record) -> None:
    if not record.has_ended:
        raise ApiError(
            409,
            "The job has not ended: try again later, or follow its events.",
            code="job_not_ended",
            headers={"retry-after": "5"},
        )
    if record.error is not None:
        detail = ErrorDetail(**record.error["detail"])
        raise ApiError(
            record.error["status"],
            detail.message,
            param=detail.param,
            code=detail.code,
            headers={"x-should-retry": "false"},
        )


def _described(state: JobState) -> Job:
    record = state.record
    return Job(
        id=record.id,
        state=state.state,
        model=record.fields["model"],
        file=record.name,
        created=int(record.created),
        ended=None if record.ended is None else int(record.ended),
        seconds=state.seconds,
        heard=state.heard,
        place=state.place,
        left_seconds=None if state.left_s is None else round(state.left_s, 1),
        error=None if record.error is None else ErrorDetail(**record.error["detail"]),
    )
