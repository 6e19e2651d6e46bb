"""The API's schema is the truth: requests made from it are answered as it says.

schemathesis (https://schemathesis.readthedocs.io) makes requests that keep the schema and requests
that break it, always the same ones, and compares each answer's status, type, body and headers with
what the schema promises.
"""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from asr.transcript import FORMATS, LAYOUT

pytestmark = pytest.mark.slow

KEPT = [
    "GET /health/live",
    "GET /health/ready",
    "GET /health/ready/{model_id}",
    "DELETE /v1/jobs/{job_id}",
    "GET /v1/jobs/{job_id}",
    "GET /v1/jobs/{job_id}/events",
    "GET /v1/models",
    "GET /v1/models/{model_id}",
    "GET /v1/usage",
    "POST /admin/models/{model_id}/reload",
    "GET /v1/jobs/{job_id}/result",
    "POST /v1/align",
    "POST /v1/audio/transcriptions",
    "POST /v1/jobs",
    "POST /v1/transcribe",
    "POST /v1/vad",
]
BROKEN = KEPT[-6:]
"""The operations that can be asked wrongly."""
UPLOADS = KEPT[-5:]
"""Those that take a recording."""


@pytest.fixture(scope="module")
def api(address: str) -> Any:
    return schemathesis.openapi.from_url(f"{address}/openapi.json")


@pytest.mark.parametrize(
    ("label", "mode"),
    [
        *((label, GenerationMode.POSITIVE) for label in KEPT),
        *((label, GenerationMode.NEGATIVE) for label in BROKEN),
    ],
)
def test_requests_are_answered_as_the_schema_says(
    api: Any, label: str, mode: GenerationMode, clip: Path
) -> None:
    method, path = label.split()

    @settings(
        max_examples=30, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=api[path][method.lower()].as_strategy(generation_mode=mode))
    def answered(case: schemathesis.Case) -> None:
        welcome = mode is GenerationMode.POSITIVE and label in UPLOADS
        if welcome:
            # To the schema a recording is a string of bytes: only real ones have words.
            recording = clip.read_bytes()
            if isinstance(case.body, dict):
                case.body = {**together(case.body), "file": recording}
                if label == "POST /v1/align":  # few strings can be spelled
                    case.body["text"] = "sir i exist"
                case.headers.pop("idempotency-key", None)  # few strings come only once
                if label == "POST /v1/jobs":
                    case.body.pop("stream", None)
            else:
                case.body = recording
                case.query = together(case.query or {})
        # schemathesis takes a request with real bytes for one that breaks the schema. And a form
        # has no null: what was to be one is an empty field, which counts as left out.
        empty = isinstance(case.body, dict) and any(not value for value in case.body.values())
        forgiven = [negative_data_rejection] * (welcome or empty)
        response = case.call_and_validate(excluded_checks=forgiven, timeout=300)
        assert response.status_code in (200, 202) or not welcome

    answered()


def together(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields without those that have no effect beside the others, which no schema can say."""
    # To the schema these are any strings: few name a model, its language, or can be spelled by it,
    # and this one has no language model to weigh.
    # No recording here has a second sound track, no host may be called, and the bundle has no model
    # of marks.
    left_out = {
        "model",
        "language",
        "languages",
        "hotwords",
        "keywords",
        "lm_weight",
        "track",
        "callback_url",
        "written",
        "digits",
    }
    if fields.get("decoder") != "beam":
        left_out |= {"beam_size", "nbest"}
    if fields.get("response_format", "json") != "json" or fields.get("stream"):
        left_out |= {"nbest", "include", "stream", "timestamp_granularities"}
    if fields.get("response_format") != "verbose_json":
        left_out |= {"timestamp_granularities"}
    if fields.get("format", "json") != "json":
        left_out |= {"nbest", "subtitles", "multichannel"}
    if fields.get("multichannel"):
        left_out |= {"subtitles"}
    if fields.get("nbest", 1) > fields.get("beam_size", 16):
        left_out |= {"nbest"}
    shown = [fields.get("response_format"), fields.get("format")]
    left_out |= {"channels", "speakers"}  # the recording has one channel, and few strings name any
    if "subtitles" not in left_out:
        shown.append(fields.get("subtitles"))
    used = {option for format in shown if format in FORMATS for option in FORMATS[format].options}
    left_out |= set(LAYOUT) - used
    kept = {name: value for name, value in fields.items() if name not in left_out}
    return kept | ({"channels": "split"} if "diarized_json" in shown else {})


def test_every_operation_is_among_these(api: Any) -> None:
    found = [operation.ok().label for operation in api.get_all_operations()]
    assert set(found) == set(KEPT)


def test_every_field_and_error_says_what_it_is(address: str) -> None:
    schema = httpx.get(f"{address}/openapi.json", timeout=120).json()
    form = schema["paths"]["/v1/audio/transcriptions"]["post"]["requestBody"]["content"]
    fields = form["multipart/form-data"]["schema"]
    assert fields["required"] == ["file"] and fields["additionalProperties"] is False
    query = schema["paths"]["/v1/transcribe"]["post"]["parameters"]
    for field in (*fields["properties"].values(), *query):
        assert field["description"]
    for path in schema["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                assert response["description"]
                if status >= "400":
                    content = response["content"]["application/json"]
                    name = content["schema"]["$ref"].removeprefix("#/components/schemas/")
                    error = schema["components"]["schemas"][name]["properties"]["error"]
                    assert error["$ref"] == "#/components/schemas/ErrorDetail"
                    example = content["example"]["error"]
                    assert example["message"]  # FastAPI leaves out what is null
                    assert example["type"] == errors_type(int(status))


def errors_type(status: int) -> str:
    return "invalid_request_error" if status < 500 else "server_error"


def test_the_schema_types_every_answer(address: str) -> None:
    schema = httpx.get(f"{address}/openapi.json", timeout=120).json()
    paths = schema["paths"]
    answers = paths["/v1/audio/transcriptions"]["post"]["responses"]["200"]["content"]
    assert set(answers) == {"application/json", "text/plain", "text/vtt", "text/event-stream"}
    events = answers["text/event-stream"]["schema"]["contentSchema"]["oneOf"]
    names = [event["$ref"].rpartition("/")[2] for event in events]
    assert names == ["TextDelta", "Turn", "TextDone", "ErrorBody"]
    live = schema["x-websockets"]["/v1/realtime"]
    assert len(live["receives"]["oneOf"]) == 4 and len(live["sends"]["oneOf"]) == 10
    for path in paths.values():
        for operation in path.values():
            for content in operation["responses"]["200"]["content"].values():
                assert content["schema"]


def test_every_reference_leads_somewhere(address: str) -> None:
    schema = httpx.get(f"{address}/openapi.json").json()
    found = set(re.findall(r'"\$ref": ?"([^"]+)"', json.dumps(schema)))
    assert "#/components/schemas/TextDone" in found
    for reference in found:
        place = schema
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place


def test_who_needs_a_key_is_said(address: str) -> None:
    schema = httpx.get(f"{address}/openapi.json").json()
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            security = operation.get("security", [])
            assert ({"key": []} in security) == path.startswith(("/v1/", "/admin/"))
            assert ({} in security) == path.startswith("/v1/")  # this server has no API keys
