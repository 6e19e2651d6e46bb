"""What only the holder of an admin key may do: load a model anew."""

from fastapi import APIRouter, Depends, Request

from service.errors import ApiError, refusals
from service.keys import holder
from service.routes.models import Model, describe
from service.shelf import TheShelf


def _admin(request: Request) -> None:
    admins = request.app.state.admins
    if not admins:
        message = "Nobody may do this here: set EARSHOT_ADMIN_KEYS to a line of `asr key NAME`."
        raise ApiError(403, message, code="admin_off")
    holder(admins, request.headers.get("authorization", ""))


router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(_admin)])


@router.post("/models/{model_id}/reload", responses=refusals(401, 403, 404, 409, 422, 503))
async def reload(model_id: str, shelf: TheShelf) -> Model:
    """Load a bundle of the models' folder, or the default one, and serve it from then on.

    Answers once the new model is warm and in place. Requests under way end on the old one.
    """
    await shelf.reload(model_id)
    return describe(model_id, shelf)
