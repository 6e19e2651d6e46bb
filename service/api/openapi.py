"""The API's schema, with what FastAPI cannot derive: API keys, and the events of a stream."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from service.api.events import EVENTS
from service.api.job_events import EVENTS as JOB_EVENTS

_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key that `asr key NAME` made. If the service has no API keys, none is "
    "needed under /v1/.",
}


def extend_schema(app: FastAPI, with_keys: bool) -> None:
    """Add to the app's schema which routes need a key, and the shapes of a stream's events."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        schema = generate()
        components = schema["components"]
        components["securitySchemes"] = {"key": _BEARER}
        kinds = [(kind, "serialization") for kind in (*EVENTS, *JOB_EVENTS)]
        _, events = models_json_schema(kinds, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
        components["schemas"] = {**events["$defs"], **components["schemas"]}
        for path, operations in schema["paths"].items():
            if path.startswith(("/v1/", "/admin/")):
                needed = with_keys or path.startswith("/admin/")
                for operation in operations.values():
                    operation["security"] = [{"key": []}] if needed else [{"key": []}, {}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
