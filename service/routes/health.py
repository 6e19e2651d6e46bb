"""Is the process alive; would it take work."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from service.errors import refusals
from service.transcriber import TheTranscriber

router = APIRouter(prefix="/health", tags=["health"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """The model is warm."""

    status: Literal["ready"] = "ready"
    model: str
    device: str


@router.get("/live")
async def live() -> Live:
    """Whether the process answers, whatever the model does; restart it where this fails."""
    return Live()


@router.get("/ready", responses=refusals(503))
async def ready(transcriber: TheTranscriber) -> Ready:
    """Whether requests are served; 503 while the model is being loaded."""
    return Ready(model=transcriber.model_id, device=transcriber.recognizer.device)
