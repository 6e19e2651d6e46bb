"""The models that are served, in the shape of OpenAI's list."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from service.answers import Answer, Seconds
from service.errors import refusals
from service.shelf import Shelf, TheShelf

router = APIRouter(prefix="/v1/models", tags=["models"], responses=refusals(401, 503))


class Model(Answer):
    """A model that requests can name."""

    id: str
    object: Literal["model"] = "model"
    created: int
    """When it was exported, in seconds since 1970."""
    owned_by: str = "earshot"
    under_way: Annotated[int, Field(ge=0)]
    """Requests that it has now."""
    queued_seconds: Seconds
    """Of their sound that is not worked off yet."""
    backlog_seconds: Seconds
    """That the machine is thought to need for it."""


class Models(Answer):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("")
async def list_models(shelf: TheShelf) -> Models:
    """The models that are served, the default one first."""
    return Models(data=[describe(id, shelf) for id in shelf.served()])


@router.get("/{model_id:path}", responses=refusals(404, 422))
async def retrieve_model(model_id: str, shelf: TheShelf) -> Model:
    """The model of that id, or of one of OpenAI's names."""
    return describe(model_id, shelf)


def describe(id: str, shelf: Shelf) -> Model:
    """The model of that id as it is now; 404 where there is none."""
    transcriber = shelf.find(id)
    created = datetime.fromisoformat(transcriber.recognizer.bundle.info["created"])
    return Model(
        id=id,
        created=int(created.timestamp()),
        under_way=shelf.under_way(transcriber),
        queued_seconds=transcriber.queued_seconds,
        backlog_seconds=transcriber.backlog_s,
    )
