"""What a recording's header says of its length, without decoding it."""

import os

import soundfile

from asr.audio.formats import CONTAINERS
from asr.audio.links import Disk
from asr.errors import installed

_UNKNOWN_FRAMES = 2**62
"""libsndfile's number of frames where the header has none is above."""


def header_seconds(path: str | os.PathLike[str]) -> float:
    """The length that a header gives or, for mp3 and the like, lets guess; 0 if it gives none.

    It is not checked: only decoding tells how long a recording is, and whether it is one.
    """
    if not os.path.isfile(path):  # a named pipe would be waited for
        return 0.0
    try:
        # By its content: the libraries take no name that is not UTF-8.
        with Disk(os.fspath(path)) as file:
            return _by_soundfile(file)
    except OSError:
        return 0.0


def _by_soundfile(file: Disk) -> float:
    try:
        with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            known = sound.samplerate > 0 and sound.frames < _UNKNOWN_FRAMES
            return sound.frames / sound.samplerate if known else 0.0
    except soundfile.LibsndfileError:
        file.seek(0)
        return _by_ffmpeg(file)


def _by_ffmpeg(file: Disk) -> float:
    with installed():
        import av  # slow to import, so only if needed

    try:
        with av.open(file, "r", options={"format_whitelist": CONTAINERS}) as container:
            return (container.duration or 0) / 1e6 if container.streams.audio else 0.0
    except (av.FFmpegError, OSError, ValueError):
        return 0.0
