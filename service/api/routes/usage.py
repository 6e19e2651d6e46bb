"""`GET /v1/usage`: what the request's own key has used, and what it may."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from service.access.usage import Usage
from service.api.dependencies import JobService, Key
from service.api.responses import ResponseBody, Seconds
from service.errors import refusals
from service.settings import Settings

router = APIRouter(tags=["usage"])

Count = Annotated[int, Field(ge=0)]


class KeyUsage(ResponseBody):
    """What a key has used. A limit that is null is none."""

    object: Literal["usage"] = "usage"
    key: str | None
    """The key's name; null where no keys are asked for: then this is everybody's usage."""
    day: date
    """Today, by UTC."""
    recordings: Count
    """Recordings that were transcribed today."""
    audio_seconds: Seconds
    """Seconds of their audio; those of channels that were read each by itself add up."""
    audio_seconds_limit: Seconds | None
    """Seconds that a key may have in a day."""
    jobs: Count
    """Jobs that wait or run."""
    jobs_audio_seconds: Seconds
    """Seconds of their audio that are still to be heard."""
    jobs_limit: Count | None
    """Jobs that may wait or run at a time."""
    resets_at: int
    """When the next day begins, in seconds since 1970."""


@router.get("/v1/usage", responses=refusals(401, 429))
async def get_usage(request: Request, jobs: JobService, key: Key) -> KeyUsage:
    """What the request's key has used today, and what it may."""
    usage: Usage = request.app.state.usage
    settings: Settings = request.app.state.settings
    used, day = usage.of(key), date(1970, 1, 1) + timedelta(usage.day)
    unfinished, waiting_s = jobs.unfinished(key)
    midnight = datetime.combine(day, datetime.min.time(), UTC) + timedelta(1)
    return KeyUsage(
        key=key or None,
        day=day,
        recordings=used.recordings,
        audio_seconds=used.seconds,
        audio_seconds_limit=usage.most_seconds or None,
        jobs=unfinished,
        jobs_audio_seconds=waiting_s,
        jobs_limit=settings.key_jobs_at_once or None,
        resets_at=int(midnight.timestamp()),
    )
