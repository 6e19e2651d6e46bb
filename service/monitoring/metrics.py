"""What the service measures, in the form that Prometheus reads.

https://prometheus.io/docs/practices/naming
"""

import asyncio
import time
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from service.monitoring.status import NotedSend

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_LAG_EVERY_S = 0.05


class Metrics:
    """The metrics of one app; every name starts with `earshot_`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.queued_audio = self._gauge(
            "queued_audio_seconds", "Audio of requests that are not answered yet."
        )
        self.queue = self._gauge(
            "queue_seconds", "Time that the machine is expected to need for that audio."
        )
        self.real_time_factor = self._gauge(
            "real_time_factor", "Seconds of audio per second, as measured while work waited."
        )
        self.batch_limit = self._gauge(
            "batch_limit_seconds", "Padded seconds of audio that a batch may hold."
        )
        self.requests = self._counter("requests", "Answers by route and status.", "route", "status")
        self.refusals = self._counter("refusals", "Answers that are errors, by code.", "reason")
        self.disconnects = self._counter(
            "hangups", "Requests whose client disconnected before the answer."
        )
        self.restarts = self._counter(
            "worker_restarts",
            "Processes that died, or hung and were killed; each is replaced.",
            "kind",
            "reason",
        )
        for kind in ("device", "decoder"):
            for cause in ("died", "hung"):  # alerts see a rise only if there was a zero
                self.restarts.labels(kind, cause)
        self.ready = self._gauge("model_ready", "1 if the model takes requests.", "model")
        self.loaded = self._gauge(
            "model_loaded", "1 if the process of the model is up, 0 while it is unloaded.", "model"
        )
        self.audio = self._counter("audio_seconds", "Audio that was transcribed.")
        self.device = self._counter("device_seconds", "Time that the device worked on batches.")
        self.jobs = self._gauge("jobs", "Jobs that have not ended.", "state")
        self.jobs_audio = self._gauge(
            "jobs_audio_seconds", "Audio of jobs that is not transcribed yet.", "state"
        )
        for state in ("waiting", "running"):
            self.jobs.labels(state)
            self.jobs_audio.labels(state)
        self.jobs_ended = self._counter("jobs_ended", "Jobs that have ended.", "outcome")
        for outcome in ("done", "failed"):
            self.jobs_ended.labels(outcome)
        self.callbacks = self._counter(
            "callbacks", "Calls of the addresses of jobs that have ended.", "outcome"
        )
        for outcome in ("answered", "failed", "given_up"):
            self.callbacks.labels(outcome)
        self.spool = self._gauge("spool_bytes", "Recordings of jobs on the disk.")
        self.live = self._gauge("live_sessions", "Live sessions that are open.")
        self.live_looks = self._counter(
            "live_readings", "Readings of turns that were still being said.", "outcome"
        )
        self.live_looks.labels("done")
        self.live_final = self._histogram(
            "live_final_seconds", "From the known end of a turn to its final text.", _SECONDS
        )
        self.answers = self._histogram(
            "request_seconds", "From the first byte to the answer.", _SECONDS, "route"
        )
        self.stages = self._histogram(
            "stage_seconds", "Time that a request spent in a stage.", _SECONDS, "stage"
        )
        self.batch_fill = self._histogram(
            "batch_fill_ratio", "Padded seconds of a batch divided by its limit.", _tenths(0.1, 1.0)
        )
        self.padding = self._histogram(
            "batch_padding_ratio",
            "Padded seconds of a batch divided by its audio.",
            _tenths(1.0, 2.0),
        )
        self.loop_lag = self._histogram(
            "loop_lag_seconds", "How late the event loop ran a timer.", _LAGS
        )

    def observe_batch(
        self, seconds: float, padded_seconds: float, limit: float, took: float
    ) -> None:
        """The device took `took` seconds for a batch of `seconds` of audio, `padded_seconds` with
        its padding, where `limit` padded seconds would have fitted."""
        self.batch_fill.observe(padded_seconds / limit)
        self.padding.observe(padded_seconds / seconds if seconds else 1.0)
        self.device.inc(took)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    async def watch_loop(self) -> None:
        """Measure how late timers run, until cancelled."""
        while True:
            due = time.monotonic() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self.loop_lag.observe(max(0.0, time.monotonic() - due))

    def _gauge(self, name: str, help: str, *labels: str) -> Gauge:
        return Gauge(f"earshot_{name}", help, labels, registry=self._registry)

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"earshot_{name}", help, labels, registry=self._registry)

    def _histogram(
        self, name: str, help: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"earshot_{name}", help, labels, buckets=buckets, registry=self._registry)


def _tenths(first: float, last: float) -> tuple[float, ...]:
    return tuple(round(first + 0.1 * step, 1) for step in range(round((last - first) * 10) + 1))


class RequestMetrics:
    """Middleware that counts answers, refusals and disconnects.

    Args:
        early_routes: paths that are counted by their own name even where a request was refused
            before it reached a route.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, early_routes: Collection[str]) -> None:
        self.app = app
        self._metrics = metrics
        self._early_routes = early_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        started = time.monotonic()
        noted = NotedSend(send)
        try:
            await self.app(scope, receive, noted)
        finally:
            # The route's pattern, never the path: paths that clients make up would fill the memory.
            path = scope["path"]
            unmatched = path if path in self._early_routes else "other"
            route = getattr(scope.get("route"), "path", unmatched)
            if noted.status:
                self._metrics.requests.labels(route, str(noted.status)).inc()
                if scope["type"] == "http":  # a session lasts as long as its client wants
                    self._metrics.answers.labels(route).observe(time.monotonic() - started)
            else:
                self._metrics.disconnects.inc()
            reason = scope["state"].get("refused")
            if reason and not path.startswith("/health/"):
                self._metrics.refusals.labels(reason).inc()
