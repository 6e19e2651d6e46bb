"""Audio: any file or bytes -> mono float32 at 16 kHz, bounded while decoding."""

from asr.audio.load import SAMPLE_RATE, Audio, AudioSource, Limits, load

__all__ = ["SAMPLE_RATE", "Audio", "AudioSource", "Limits", "load"]
