"""`WS /v1/realtime`: live speech, in the shape of OpenAI's realtime transcription sessions."""

from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.websockets import WebSocket

from service.access.sockets import refuse, subprotocol
from service.api.live_door import Door
from service.errors import ApiError
from service.live.sessions import Sessions
from service.settings import Settings

PATH = "/v1/realtime"
router = APIRouter()


@router.websocket(PATH)
async def realtime(websocket: WebSocket) -> None:
    """Follow a client's speech; docs/http-reference.md has the events."""
    state, scope = websocket.app.state, websocket.scope
    settings: Settings = state.settings
    sessions: Sessions = state.live
    key = str(getattr(websocket.state, "key", ""))
    model = websocket.query_params.get("model")
    door = Door(
        websocket, settings, state.registry, state.metrics, state.usage, key,
        scope["state"]["stopping"],
    )  # fmt: skip
    try:
        _check_origin(websocket, settings)
        with sessions.one_more():
            await door.begin(model)
            await websocket.accept(subprotocol(scope))
            await door.serve()
    except ApiError as error:
        await refuse(scope, websocket.receive, websocket.send, error)


@router.get(PATH, include_in_schema=False)
async def say_how() -> None:
    """ApiError (426): no WebSocket was asked for, or a proxy has not passed that on."""
    raise ApiError(
        426,
        f"{PATH} is a WebSocket, and this request asks for none: connect with a client of "
        "WebSockets, and have every proxy on the way pass the headers Upgrade and Connection on.",
        param="upgrade",
        code="upgrade_required",
        headers={"upgrade": "websocket", "connection": "upgrade"},
    )


@router.websocket("/{path:path}")
async def refuse_elsewhere(websocket: WebSocket) -> None:
    """Refuse a WebSocket anywhere else (404)."""
    message = f"There is no WebSocket at {websocket.url.path}: live speech is at {PATH}."
    error = ApiError(404, message)
    await refuse(websocket.scope, websocket.receive, websocket.send, error)


def _check_origin(websocket: WebSocket, settings: Settings) -> None:
    """ApiError (403) if another site's page asks: browsers let it, and send what their user may."""
    origin = websocket.headers.get("origin")
    allowed = {one.strip() for one in settings.cors_origins.split(",")}
    if origin is None or "*" in allowed or origin in allowed:
        return
    if urlsplit(origin).netloc != websocket.headers.get("host"):
        raise ApiError(
            403,
            f"Pages of {origin[:100]!r} may not use this service: list it in EARSHOT_CORS_ORIGINS.",
            param="origin",
            code="origin_refused",
        )
