"""OpenTelemetry traces: a span for every request, and inside it one for each stage.

Needs the extra `trace`. The stages are those that a route left in the request's state as
`timings`: their names and seconds, in the order in which they followed each other.
"""

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Traces:
    """Middleware that exports a trace of each request under /v1/ to an OTLP collector.

    Args:
        endpoint: where the collector takes traces over HTTP, as http://collector:4318/v1/traces.
    """

    def __init__(self, app: ASGIApp, endpoint: str) -> None:
        self.app = app
        self._provider = TracerProvider(resource=Resource.create({"service.name": "earshot"}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
        self._tracer = self._provider.get_tracer("earshot")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":  # lasts as long as the app
            try:
                return await self.app(scope, receive, send)
            finally:
                self._provider.shutdown()  # sends the remaining spans
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            return await self.app(scope, receive, send)
        started = time.time_ns()
        name = f"{scope['method']} {scope['path']}"
        parent = extract(dict(Headers(scope=scope)))
        kind = trace.SpanKind.SERVER
        with self._tracer.start_as_current_span(name, parent, kind, start_time=started) as span:
            span.set_attribute("http.request.method", scope["method"])
            span.set_attribute("url.path", scope["path"])
            span.set_attribute("earshot.request_id", scope["state"]["request_id"])

            async def send_traced(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self.app(scope, receive, send_traced)
            self._add_stages(span, scope["state"].get("timings", {}), started)

    def _add_stages(self, span: Any, timings: Mapping[str, float], started: int) -> None:
        """Add a span for each stage, one after another."""
        context = trace.set_span_in_context(span)
        for name, seconds in timings.items():
            end = started + int(seconds * 1e9)
            self._tracer.start_span(name, context, start_time=started).end(end)
            started = end
