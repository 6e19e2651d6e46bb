"""For holders of an admin key: reload a model."""

from fastapi import APIRouter, Depends, Request

from service.access.keys import key_name
from service.api.dependencies import Registry
from service.api.routes.models import Model, describe
from service.errors import ApiError, refusals


def _check_admin_key(request: Request) -> None:
    admins = request.app.state.admins
    if not admins:
        message = "Nobody may do this here: set EARSHOT_ADMIN_KEYS to a line of `asr key NAME`."
        raise ApiError(403, message, code="admin_off")
    key_name(admins, request.headers.get("authorization", ""))


router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(_check_admin_key)])


@router.post("/models/{model_id}/reload", responses=refusals(401, 403, 404, 409, 422, 503))
async def reload(model_id: str, registry: Registry) -> Model:
    """Load a bundle of the models folder, or the default one, and serve it from then on.

    The answer comes when the new model is warm and in use. Requests under way finish on the old
    one.
    """
    await registry.reload(model_id)
    return describe(model_id, registry)
