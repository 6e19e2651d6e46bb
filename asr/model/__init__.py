"""The acoustic model, as plain `nn.Module`s."""

from asr.model.acoustic import AcousticModel, ModelConfig
from asr.model.features import FeatureConfig

__all__ = ["AcousticModel", "FeatureConfig", "ModelConfig"]
