"""One file for each resource; `ROUTERS` are all of them."""

from service.api.routes import (
    admin,
    health,
    metrics,
    models,
    page,
    transcribe,
    transcriptions,
)

ROUTERS = tuple(
    module.router for module in (health, metrics, models, transcriptions, transcribe, admin, page)
)
UPLOAD_PATHS = (transcriptions.PATH, transcribe.PATH)
"""Where recordings are sent to."""
