"""`GET /metrics`, for Prometheus."""

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.access.keys import key_name
from service.monitoring.metrics import Metrics

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """The service's metrics in Prometheus' text format."""
    if keys := request.app.state.metrics_keys:
        key_name(keys, request.headers.get("authorization", ""))
    service_metrics: Metrics = request.app.state.metrics
    return Response(await run_in_threadpool(service_metrics.text), media_type=CONTENT_TYPE_LATEST)
