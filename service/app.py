"""The FastAPI app: routes, error shape, limits, and the model's life."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from asr.runtime import Recognizer
from service.errors import add_error_handlers
from service.middleware import BodyLimit, RequestIds
from service.routes import health, models, transcriptions
from service.settings import Settings
from service.transcriber import Transcriber


def create_app(settings: Settings, recognizer: Recognizer | None = None) -> FastAPI:
    """The service's app; it loads `recognizer` from the settings' bundle where none is given.

    The app answers from the start, with 503 where it takes the model, until that is warm.
    `app.state.loading` is the task that gets it there, for whoever must know how that ended.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.loading = asyncio.create_task(app.state.transcriber.start())
        yield
        app.state.loading.cancel()
        app.state.transcriber.stop()

    # FastAPI's pages at /docs and /redoc load scripts from elsewhere: nothing here does.
    app = FastAPI(
        title="earshot",
        version=version("earshot"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.transcriber = Transcriber(settings, recognizer)
    for room in (health, models, transcriptions):
        app.include_router(room.router)
    add_error_handlers(app)
    # The last added is the outermost: a refused body has its request id too.
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    app.add_middleware(RequestIds)
    return app
