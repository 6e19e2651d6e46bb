"""The sound around a stretch of a long file, without decoding what comes before it.

Only files in which a seek is exact to the sample are read like that.
"""

import math
from pathlib import Path

import soundfile

from asr.audio.pieces import MIN_RATE, Piece
from asr.sampling import SAMPLE_RATE

_EXACT = frozenset({"WAV", "WAVEX", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64"})
_MARGIN_S = 0.1
"""More than the filter of a resampler hears on each side."""


def around(path: Path, start: float, end: float) -> tuple[Piece, float] | None:
    """The sound of a file from a little before `start` to a little after `end`, in seconds.

    Returns:
        The sound, and the seconds at which it begins: a whole number of samples at the file's rate
        and at 16 kHz. None if the file is to be read from its beginning, or ends before the start.
    """
    try:
        with soundfile.SoundFile(path) as sound:
            rate = sound.samplerate
            if sound.format not in _EXACT or rate < MIN_RATE or start >= sound.frames / rate:
                return None
            common = rate // math.gcd(rate, SAMPLE_RATE)  # where the two rates' samples meet
            first = max(0, math.floor((start - _MARGIN_S) * rate / common)) * common
            last = math.ceil((min(end, sound.frames / rate) + _MARGIN_S) * rate)
            sound.seek(first)
            samples = sound.read(last - first, dtype="float32", always_2d=True)
            return (rate, samples), first / rate
    except (OSError, soundfile.LibsndfileError):
        return None
