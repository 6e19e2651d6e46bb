"""Arguments of routes that FastAPI fills in."""

from typing import Annotated

from fastapi import Depends, Request

from service.engine.registry import ModelRegistry


def _registry(request: Request) -> ModelRegistry:
    registry: ModelRegistry = request.app.state.registry
    return registry


Registry = Annotated[ModelRegistry, Depends(_registry)]
"""The app's registry of models."""
