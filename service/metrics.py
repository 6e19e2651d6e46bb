"""What the service measures of itself, in the form that Prometheus reads.

https://prometheus.io/docs/practices/naming
"""

import asyncio
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.batcher import Batch
from service.gate import UPLOADS

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_LAG_EVERY_S = 0.05


class Metrics:
    """All of one app's; every name begins with `earshot_`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.queued_audio = self._gauge(
            "queued_audio_seconds", "Sound of requests that are not answered yet."
        )
        self.queue = self._gauge(
            "queue_seconds", "Time that the machine is thought to need for that sound."
        )
        self.real_time_factor = self._gauge(
            "real_time_factor", "Seconds of sound per second, as learnt of late under this load."
        )
        self.batch_limit = self._gauge(
            "batch_limit_seconds", "Padded seconds of sound that a batch may hold."
        )
        self.requests = self._counter("requests", "Answers by route and status.", "route", "status")
        self.refusals = self._counter("refusals", "Answers that are errors, by code.", "reason")
        self.hangups = self._counter("hangups", "Requests whose client went before the answer.")
        self.restarts = self._counter("worker_restarts", "Processes that died.", "kind")
        self.restarts.labels("device")  # alerts see a rise only from a zero that was there
        self.audio = self._counter("audio_seconds", "Sound that was transcribed.")
        self.device = self._counter("device_seconds", "Time that the device worked on batches.")
        self.answers = self._histogram(
            "request_seconds", "From the first byte to the answer.", _SECONDS, "route"
        )
        self.stages = self._histogram(
            "stage_seconds", "Time that a request spent in a stage.", _SECONDS, "stage"
        )
        self.batch_fill = self._histogram(
            "batch_fill_ratio", "Padded seconds of a batch by its limit.", _tenths(0.1, 1.0)
        )
        self.padding = self._histogram(
            "batch_padding_ratio", "Padded seconds of a batch by its sound.", _tenths(1.0, 2.0)
        )
        self.loop_lag = self._histogram(
            "loop_lag_seconds", "How late the event loop came to a timer.", _LAGS
        )

    def saw_batch(self, batch: Batch, limit: float, took: float) -> None:
        """A batch took so many seconds."""
        self.batch_fill.observe(batch.padded_seconds / limit)
        self.padding.observe(batch.padded_seconds / batch.seconds if batch.seconds else 1.0)
        self.device.inc(took)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)

    async def watch_loop(self) -> None:
        """Measure how late timers are, for ever."""
        while True:
            due = time.monotonic() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self.loop_lag.observe(max(0.0, time.monotonic() - due))

    def _gauge(self, name: str, help: str) -> Gauge:
        return Gauge(f"earshot_{name}", help, registry=self._registry)

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"earshot_{name}", help, labels, registry=self._registry)

    def _histogram(
        self, name: str, help: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"earshot_{name}", help, labels, buckets=buckets, registry=self._registry)


def _tenths(first: float, last: float) -> tuple[float, ...]:
    return tuple(round(first + 0.1 * step, 1) for step in range(round((last - first) * 10) + 1))


class Measured:
    """Middleware that counts answers, refusals and clients that go."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began = time.monotonic()
        status = 0

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        finally:
            # The pattern that matched, never the path: what clients make up would fill memory. An
            # upload that was refused unread matched none yet.
            unmatched = scope["path"] if scope["path"] in UPLOADS else "other"
            route = getattr(scope.get("route"), "path", unmatched)
            if status:
                self._metrics.requests.labels(route, str(status)).inc()
                self._metrics.answers.labels(route).observe(time.monotonic() - began)
            else:
                self._metrics.hangups.inc()
            reason = scope["state"].get("refused")
            if reason and not scope["path"].startswith("/health/"):
                self._metrics.refusals.labels(reason).inc()
