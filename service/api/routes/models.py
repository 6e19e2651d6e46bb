"""The served models, in the shape of OpenAI's list."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from service.api.dependencies import Registry
from service.api.responses import ResponseBody, Seconds
from service.engine.registry import ModelRegistry
from service.errors import refusals

router = APIRouter(prefix="/v1/models", tags=["models"], responses=refusals(401, 503))


class Model(ResponseBody):
    """A model that requests can name."""

    id: str
    object: Literal["model"] = "model"
    created: int
    """When it was exported, in seconds since 1970."""
    owned_by: str = "earshot"
    under_way: Annotated[int, Field(ge=0)]
    """Number of its requests now."""
    queued_seconds: Seconds
    """Seconds of their audio that are not processed yet."""
    backlog_seconds: Seconds
    """Seconds that the machine is expected to need for that audio."""


class Models(ResponseBody):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("")
async def list_models(registry: Registry) -> Models:
    """List the served models, the default one first."""
    return Models(data=[describe(id, registry) for id in registry.served()])


@router.get("/{model_id:path}", responses=refusals(404, 422))
async def retrieve_model(model_id: str, registry: Registry) -> Model:
    """Describe the model of that id, alias, or name of OpenAI's."""
    return describe(model_id, registry)


def describe(id: str, registry: ModelRegistry) -> Model:
    """The present state of a model; ApiError (404) if there is none of that id."""
    transcriber = registry.find(id)
    created = datetime.fromisoformat(transcriber.recognizer.bundle.info.created)
    return Model(
        id=id,
        created=int(created.timestamp()),
        under_way=registry.under_way(transcriber),
        queued_seconds=transcriber.queued_seconds,
        backlog_seconds=transcriber.backlog_s,
    )
