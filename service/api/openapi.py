"""The API's schema, with what FastAPI cannot derive: API keys, and events."""

from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.events import EVENTS
from service.api.job_events import EVENTS as JOB_EVENTS
from service.api.live_events import EVENTS as LIVE_EVENTS
from service.api.live_fields import CLIENT_EVENTS
from service.errors import ErrorEvent

_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key that `asr key NAME` made. If the service has no API keys, none is "
    "needed under /v1/.",
}

_SCHEMAS = "#/components/schemas/"


def _one_of(kinds: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    return {"oneOf": [{"$ref": f"{_SCHEMAS}{kind.__name__}"} for kind in kinds]}


# OpenAPI has no words for WebSockets.
_LIVE = {
    "description": "Live speech, in the shape of OpenAI's realtime transcription sessions. Each "
    "message is one of these events, in JSON.",
    "receives": _one_of(CLIENT_EVENTS),
    "sends": _one_of((*LIVE_EVENTS, ErrorEvent)),
}


def extend_schema(app: FastAPI, with_keys: bool) -> None:
    """Add to the app's schema which routes need a key, and the shapes of all events."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        schema = generate()
        components = schema["components"]
        components["securitySchemes"] = {"key": _BEARER}
        sent = (*EVENTS, *JOB_EVENTS, *LIVE_EVENTS, ErrorEvent)
        kinds: list[tuple[type[BaseModel], Literal["validation", "serialization"]]]
        kinds = [(kind, "serialization") for kind in sent]
        kinds += [(kind, "validation") for kind in CLIENT_EVENTS]
        _, events = models_json_schema(kinds, ref_template=f"{_SCHEMAS}{{model}}")
        components["schemas"] = {**events["$defs"], **components["schemas"]}
        schema["x-websockets"] = {"/v1/realtime": _LIVE}
        for path, operations in schema["paths"].items():
            if path.startswith(("/v1/", "/admin/")):
                needed = with_keys or path.startswith("/admin/")
                for operation in operations.values():
                    operation["security"] = [{"key": []}] if needed else [{"key": []}, {}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
