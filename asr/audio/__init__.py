"""Audio: any file or bytes -> mono float32 at 16 kHz, bounded while decoding."""

from asr.audio.formats import EXTENSIONS
from asr.audio.headers import read_header
from asr.audio.level import Meter, changed, levelled
from asr.audio.limits import PIECEWISE, Limits
from asr.audio.load import (
    Audio,
    AudioSource,
    check_opens,
    load,
    load_channels,
    load_selected,
    load_stretch,
    stream,
)
from asr.audio.mix import have_own_voices
from asr.audio.pcm import PcmStream
from asr.audio.recording import Recording
from asr.sampling import SAMPLE_RATE

__all__ = [
    "EXTENSIONS",
    "PIECEWISE",
    "SAMPLE_RATE",
    "Audio",
    "AudioSource",
    "Limits",
    "Meter",
    "PcmStream",
    "Recording",
    "changed",
    "check_opens",
    "have_own_voices",
    "levelled",
    "load",
    "load_channels",
    "load_selected",
    "load_stretch",
    "read_header",
    "stream",
]
