"""The one model that is served, in the shape of OpenAI's list of models."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from service.errors import ApiError, ErrorBody
from service.transcriber import TheTranscriber, Transcriber

router = APIRouter(prefix="/v1/models", tags=["models"], responses={503: {"model": ErrorBody}})


class Model(BaseModel):
    """A model that requests can name."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "earshot"


class Models(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("")
async def list_models(transcriber: TheTranscriber) -> Models:
    """The models that are served: one."""
    return Models(data=[_served(transcriber)])


@router.get("/{model_id:path}", responses={404: {"model": ErrorBody}})
async def retrieve_model(model_id: str, transcriber: TheTranscriber) -> Model:
    """The model of that id."""
    served = _served(transcriber)
    if model_id != served.id:
        raise no_such_model(model_id, served.id)
    return served


def no_such_model(asked: str, served: str) -> ApiError:
    """404 in OpenAI's words, with the name to ask for instead."""
    message = f"The model {asked[:100]!r} does not exist here; this service has {served!r}."
    return ApiError(404, message, param="model", code="model_not_found")


def _served(transcriber: Transcriber) -> Model:
    created = datetime.fromisoformat(transcriber.recognizer.bundle.info["created"])
    return Model(id=transcriber.model_id, created=int(created.timestamp()))
