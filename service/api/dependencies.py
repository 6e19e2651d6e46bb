"""Arguments of routes that FastAPI fills in."""

from typing import Annotated

from fastapi import Depends, Request

from service.access.usage import Usage
from service.engine.registry import ModelRegistry
from service.engine.transcriber import Result
from service.jobs.jobs import Jobs


def _registry(request: Request) -> ModelRegistry:
    registry: ModelRegistry = request.app.state.registry
    return registry


Registry = Annotated[ModelRegistry, Depends(_registry)]
"""The app's registry of models."""


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


JobService = Annotated[Jobs, Depends(_jobs)]
"""The app's jobs."""


def _key(request: Request) -> str:
    return str(getattr(request.state, "key", ""))


def note(request: Request, result: Result) -> None:
    """Note what a request had, for its key's usage and for the traces."""
    request.state.timings = result.timings
    usage: Usage = request.app.state.usage
    usage.add(_key(request), result.seconds)


Key = Annotated[str, Depends(_key)]
"""The name of the API key that came with the request; empty where no keys are asked for."""
