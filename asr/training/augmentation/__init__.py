"""Augmentation: how training changes the clips that it reads."""

from asr.training.augmentation.augment import Augment
from asr.training.augmentation.effects import Gain, Reverb, SpecAugment, Speed
from asr.training.augmentation.noise import Noise, NoiseBank

__all__ = ["Augment", "Gain", "Noise", "NoiseBank", "Reverb", "SpecAugment", "Speed"]
