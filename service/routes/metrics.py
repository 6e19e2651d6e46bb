"""`GET /metrics`, for Prometheus."""

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.metrics import Metrics

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """What the service measures of itself, in Prometheus' text format."""
    measured: Metrics = request.app.state.metrics
    return Response(await run_in_threadpool(measured.text), media_type=CONTENT_TYPE_LATEST)
