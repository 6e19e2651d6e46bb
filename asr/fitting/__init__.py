"""What is fitted to development speech and written into a bundle: decoder weights, calibration."""

from asr.fitting.calibration import Fitted, calibrate
from asr.fitting.examples import speech_bounds
from asr.fitting.tuning import Trial, Tuning, tune

__all__ = ["Fitted", "Trial", "Tuning", "calibrate", "speech_bounds", "tune"]
