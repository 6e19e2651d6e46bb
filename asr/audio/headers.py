"""What a recording's header says of it, without decoding it."""

import os
from dataclasses import dataclass

import soundfile

from asr.audio.formats import CONTAINERS
from asr.audio.links import Disk
from asr.errors import installed

_UNKNOWN_FRAMES = 2**62
"""libsndfile's number of frames where the header has none is above."""


@dataclass(frozen=True)
class Header:
    """What a header says; 0 where it says nothing.

    It is not checked: only decoding tells how long a recording is, and whether it is one.
    """

    seconds: float = 0.0
    """The length, for mp3 and the like a guess."""
    channels: int = 0


def read_header(path: str | os.PathLike[str], every_format: bool = True) -> Header:
    """The header of the file at `path`.

    Args:
        every_format: also of formats that libsndfile does not know. A process that no file may end
            had better leave these to another.
    """
    if not os.path.isfile(path):  # a named pipe would be waited for
        return Header()
    try:
        # By its content: the libraries take no name that is not UTF-8.
        with Disk(os.fspath(path)) as file:
            return _by_soundfile(file) or (_by_ffmpeg(file) if every_format else Header())
    except OSError:
        return Header()


def _by_soundfile(file: Disk) -> Header | None:
    """None if it is of another format."""
    try:
        with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            known = sound.samplerate > 0 and sound.frames < _UNKNOWN_FRAMES
            return Header(sound.frames / sound.samplerate if known else 0.0, sound.channels)
    except soundfile.LibsndfileError:
        file.seek(0)
        return None


def _by_ffmpeg(file: Disk) -> Header:
    with installed():
        import av  # slow to import, so only if needed

    try:
        with av.open(file, "r", options={"format_whitelist": CONTAINERS}) as container:
            if not container.streams.audio:
                return Header()
            return Header((container.duration or 0) / 1e6, container.streams.audio[0].channels)
    except (av.FFmpegError, OSError, ValueError):
        return Header()
