"""The acoustic model, as plain `nn.Module`s; what it is made of is known without torch."""

from typing import TYPE_CHECKING, Any

from asr.model.config import FeatureConfig, ModelConfig

if TYPE_CHECKING:
    from asr.model.acoustic import AcousticModel

__all__ = ["AcousticModel", "FeatureConfig", "ModelConfig"]


def __getattr__(name: str) -> Any:
    if name == "AcousticModel":  # torch takes seconds to load
        from asr.model.acoustic import AcousticModel

        return AcousticModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
