"""OpenTelemetry traces: a span for every request, and inside it one for each stage.

Needs the extra `trace`. The stages are those that the answer's Server-Timing header states.
"""

import re
import time
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_STAGE = re.compile(r"(?P<name>[\w-]+);dur=(?P<milliseconds>[\d.]+)")


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
        if scope["type"] == "lifespan":  # lasts as long as the app does
            try:
                return await self.app(scope, receive, send)
            finally:
                self._provider.shutdown()  # sends what is left
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            return await self.app(scope, receive, send)
        began = time.time_ns()
        name = f"{scope['method']} {scope['path']}"
        parent = extract(dict(Headers(scope=scope)))
        kind = trace.SpanKind.SERVER
        with self._tracer.start_as_current_span(name, parent, kind, start_time=began) as span:
            span.set_attribute("http.request.method", scope["method"])
            span.set_attribute("url.path", scope["path"])
            span.set_attribute("earshot.request_id", scope["state"]["request_id"])

            async def send_traced(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    self._stages(span, Headers(raw=message["headers"]), began)
                await send(message)

            await self.app(scope, receive, send_traced)

    def _stages(self, span: Any, headers: Headers, began: int) -> None:
        """Spans for the stages, one behind the other, as they follow each other."""
        context = trace.set_span_in_context(span)
        for stage in _STAGE.finditer(headers.get("server-timing", "")):
            ended = began + int(float(stage["milliseconds"]) * 1e6)
            child = self._tracer.start_span(stage["name"], context, start_time=began)
            child.end(ended)
            began = ended
