"""Audio: any file or bytes -> mono float32 at 16 kHz, bounded while decoding."""

from asr.audio.decode import EXTENSIONS
from asr.audio.limits import Limits
from asr.audio.load import SAMPLE_RATE, Audio, AudioSource, load, load_channels, stream

__all__ = [
    "EXTENSIONS",
    "SAMPLE_RATE",
    "Audio",
    "AudioSource",
    "Limits",
    "load",
    "load_channels",
    "stream",
]
