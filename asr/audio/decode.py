"""An encoded file -> its sound in pieces: libsndfile where it can, FFmpeg for the rest.

What is in the file decides, never its name. A header's claim is not believed for how much there
is to read; it serves only to tell a file that was cut short, which is refused, not half read, and
to refuse at once what claims to be longer than is accepted.
"""

import io
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile

from asr.audio.limits import Limits
from asr.audio.scale import to_float
from asr.errors import BadAudio

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container import InputContainer

Samples: TypeAlias = npt.NDArray[np.float32]
"""Sound of shape `(frames, channels)`; full scale is 1."""

Piece: TypeAlias = tuple[int, Samples]
"""A rate in Hz and samples at that rate."""

MIN_RATE, MAX_RATE = 1_000, 384_000
"""Sampling rates in Hz that sound is recorded at; others come from damaged or forged headers."""

BLOCK_VALUES = 2**17
"""Samples, over all channels, that are decoded at a time: half a megabyte."""

EXTENSIONS = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff"}
    | {".m4a", ".mp4", ".mov", ".aac", ".webm", ".mka", ".mkv"}
)
"""Endings, in lower case, of the files that a folder's listing takes for recordings."""

# FFmpeg also knows playlists and scripts, through which a file could make it open other files and
# addresses: only what holds its own sound is let in.
_CONTAINERS = "mov,matroska,aac,mp3,ogg,flac,wav,w64,aiff,asf,amr,flv,mpegts,mpeg,avi"
# Those of them whose header knows the length; elsewhere FFmpeg guesses it from the bit rate.
_KNOW_THEIR_LENGTH = {"mov", "matroska", "flac", "wav", "w64", "aiff"}
_MAGIC = re.compile(
    rb"RIFF|RF64|riff|FORM|fLaC|OggS|ID3|\xff[\xe0-\xff]|....ftyp|\x1aE\xdf\xa3|caff", re.DOTALL
)
# More than this in a file without a single sample is a header that was never finished.
_HEADER_BYTES = 4096
# Writers are known to count their header or padding as sound, and FFmpeg to round a length.
_MISCOUNT_BYTES = 64
_MISCOUNT_S = 0.5
_UNKNOWN_FRAMES = 2**63 - 1


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """Reads from front to back, to the end of the data.

    A seekable `SoundFile` stops at the header's frame count and seeks after each read, which
    breaks mp3 (frames lean on earlier ones) and flac of unknown length.
    """

    def seekable(self) -> bool:
        return False


class Memory(io.BytesIO):
    """An encoded file in memory.

    A damaged file can make libsndfile seek before its begin. As for a file on disk that fails and
    is taken for damage; an exception would be printed with its traceback, as it cannot pass C.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return -1


def decode(file: Memory | io.FileIO, label: str, limits: Limits) -> Iterator[Piece]:
    """The sound of `file`, in order, in pieces of bounded size.

    `label` names the file in errors. BadAudio for what is not sound, is damaged, or is cut short;
    damage may show only after some pieces. TooLong for what says itself that it is beyond
    `limits`; whoever takes the pieces must count them, as a header may lie.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size == 0:
        raise BadAudio(f"{label} is empty (0 bytes): record or fetch it again")
    try:
        # The descriptor, since libsndfile reads that itself, and ignores the file's name.
        sound = _Sequential(file if isinstance(file, Memory) else file.fileno(), closefd=False)
    except soundfile.LibsndfileError:
        file.seek(0)
        yield from _by_ffmpeg(file, label, limits)
        return
    with sound:
        knows_its_length = sound.frames < _UNKNOWN_FRAMES and sound.format != "MP3"
        if knows_its_length and sound.samplerate >= MIN_RATE:
            size_decoded = 4 * sound.frames * sound.channels
            limits.check(label, sound.frames, sound.samplerate, size_decoded)
        yield from _by_libsndfile(sound, label, size)


def _by_libsndfile(sound: _Sequential, label: str, size: int) -> Iterator[Piece]:
    rate, frames = sound.samplerate, 0
    while True:
        try:
            block = sound.read(
                max(1, BLOCK_VALUES // sound.channels), dtype="float32", always_2d=True
            )
        except soundfile.LibsndfileError as error:
            raise _damaged(label, frames / rate) from error
        if not len(block):
            break
        frames += len(block)
        yield rate, block
    _check_whole(sound, label, frames)
    if frames == 0 and size > _HEADER_BYTES:
        raise BadAudio(
            f"{label} says that it holds no sound, yet has {size} bytes: its recorder did not "
            "finish the header, so repair it (ffmpeg -i in out.wav) or record it again"
        )


def _check_whole(sound: _Sequential, label: str, frames: int) -> None:
    """BadAudio where the header promises more than the `frames` that were found."""
    rate = sound.samplerate
    # Of ogg it is the last page that counts the frames: damaged ones before it are passed over.
    slack = {"FLAC": 0, "OGG": _MISCOUNT_S * rate}.get(sound.format)
    if slack is not None and frames + slack < sound.frames < _UNKNOWN_FRAMES:
        raise _cut_short(label, f"{sound.frames / rate:.1f} s", f"{frames / rate:.1f} s")
    # libsndfile corrects the size of wav and the like silently, and says so only in its log.
    corrected = re.search(r"^ *(?:data|SSND) *: (\d+) \(should be (\d+)\)", sound.extra_info, re.M)
    if corrected is None:
        return
    said, found = int(corrected[1]), int(corrected[2])
    # Just below 2 or 4 GiB is what a program writes that cannot go back to its header.
    if said > found + _MISCOUNT_BYTES and said % 2**31 < 2**31 - 2**16:
        raise _cut_short(label, f"{said} bytes", f"{found} bytes")


def _by_ffmpeg(file: Memory | io.FileIO, label: str, limits: Limits) -> Iterator[Piece]:
    import av  # half as long to import as all the rest: only for those who need it

    seconds = 0.0
    try:
        with av.open(file, "r", options={"format_whitelist": _CONTAINERS}) as container:
            if not container.streams.audio:
                raise BadAudio(f"{label} has no audio stream: give a recording with sound")
            promised = _promised_seconds(container)
            limits.check(label, int(promised * 1000), 1000, 0)
            for frame in container.decode(audio=0):
                if frame.time is not None:
                    seconds = frame.time
                seconds += frame.samples / frame.sample_rate
                yield frame.sample_rate, _frame_samples(frame)
    except (av.FFmpegError, ValueError) as error:  # ValueError: an unknown codec or sample type
        raise _damaged(label, seconds) if seconds else _unreadable(file, label) from error
    if promised > seconds + _MISCOUNT_S:
        raise _cut_short(label, f"{promised:.1f} s", f"{seconds:.1f} s")


def _frame_samples(frame: "AudioFrame") -> npt.NDArray[np.float32]:
    values = to_float(frame.to_ndarray())
    if frame.format.is_planar:
        return values.T  # (channels, frames) -> (frames, channels)
    return values.reshape(-1, frame.layout.nb_channels)  # (1, frames * channels)


def _promised_seconds(container: "InputContainer") -> float:
    if container.format.name.split(",")[0] not in _KNOW_THEIR_LENGTH:
        return 0.0
    stream = container.streams.audio[0]
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is None or container.streams.video:
        return 0.0
    return container.duration / 1e6  # FFmpeg counts a container in microseconds


def _damaged(label: str, seconds: float) -> BadAudio:
    return BadAudio(
        f"{label} is truncated or damaged: somewhere after {seconds:.1f} s it cannot be read, "
        "so fetch or record it again"
    )


def _cut_short(label: str, promised: str, found: str) -> BadAudio:
    return BadAudio(
        f"{label} is truncated or its header is wrong: it promises {promised} of sound and holds "
        f"{found}, so fetch or record it again"
    )


def _unreadable(file: Memory | io.FileIO, label: str) -> BadAudio:
    file.seek(0)
    if _MAGIC.match(file.read(16)):
        return BadAudio(
            f"{label} is truncated or damaged: no sound can be read from it, "
            "so fetch or record it again"
        )
    return BadAudio(
        f"{label} is not a recording, by its content: give wav, flac, mp3, ogg, opus, m4a, mp4 "
        "or webm"
    )
