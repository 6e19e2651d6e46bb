"""Health: whether the process is alive, and whether it takes requests."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from service.api.dependencies import Registry
from service.engine.decode_pool import DecodePool
from service.engine.failures import not_ready
from service.engine.registry import ModelState
from service.engine.transcriber import TAKES_REQUESTS
from service.errors import ErrorBody, refusals

router = APIRouter(prefix="/health", tags=["health"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """Every model is warm and its process is alive."""

    status: Literal["ready"] = "ready"
    model: str | None
    """The default one."""
    device: str | None
    models: list[ModelState]
    """All models, the default one first."""
    decoders: int
    """Number of running processes that decode uploads."""


class NotReady(ErrorBody):
    """What is missing, as an error, and the state of all models."""

    status: Literal["not_ready"] = "not_ready"
    models: list[ModelState]
    decoders: int


_REFUSALS: dict[int | str, dict[str, Any]] = {503: {**refusals(503)[503], "model": NotReady}}


@router.head("/live", include_in_schema=False)
@router.get("/live")
async def live() -> Live:
    """Whether the process answers, whatever the models do; restart it if this fails."""
    return Live()


@router.head("/ready", response_model=None, include_in_schema=False)
@router.get("/ready", response_model=Ready, responses=_REFUSALS)
async def ready(request: Request, registry: Registry) -> Ready | JSONResponse:
    """Whether every model takes requests; 503 while one is being loaded or replaced.

    One that is unloaded, since nobody uses it, takes them: it is loaded at the next.
    """
    return _answer(request, registry.states())


@router.get(
    "/ready/{model_id:path}", response_model=Ready, responses={**refusals(404, 422), **_REFUSALS}
)
async def model_ready(request: Request, model_id: str, registry: Registry) -> Ready | JSONResponse:
    """Whether one model takes requests."""
    return _answer(request, [registry.state(model_id)])


def _answer(request: Request, models: list[ModelState]) -> Ready | JSONResponse:
    decoders: DecodePool = request.app.state.decoders
    running = len(decoders.pids)
    missing = [
        f"{model.id or 'the model'} is {model.status}"
        for model in models
        if model.status not in TAKES_REQUESTS
    ]
    if not running:
        missing.append("no process that decodes uploads is running")
    if not missing:
        first = models[0]
        return Ready(model=first.id, device=first.device, models=models, decoders=running)
    error = not_ready(f"Not ready: {', '.join(missing)}; try again in a few seconds.")
    body = NotReady(error=error.detail, models=models, decoders=running)
    request.state.refused = error.detail.code
    return JSONResponse(body.model_dump(), error.status, headers=error.headers)
