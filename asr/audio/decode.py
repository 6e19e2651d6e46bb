"""An encoded file -> its audio in pieces: by libsndfile if it can, else by FFmpeg.

The content of a file decides, never its name. A header is not trusted about the length; it is only
used to detect a truncated file, which is refused, and to refuse at once what claims to be longer
than the limits.
"""

import os
import re
from collections.abc import Iterator
from itertools import pairwise

import soundfile

from asr.audio.ffmpeg import MISCOUNT_S, by_ffmpeg, no_such_track
from asr.audio.limits import Limits
from asr.audio.links import Disk, Encoded, Part, Source, links
from asr.audio.pieces import BLOCK_VALUES, MIN_RATE, Piece
from asr.audio.refusals import cut_short, damaged
from asr.audio.unfinished import HEADER_BYTES, W64_CHUNK, unfinished
from asr.errors import BadAudio

# Some writers count their header or padding as audio.
_MISCOUNT_BYTES = 64
_UNKNOWN_FRAMES = 2**63 - 1


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """Reads sequentially to the end of the data.

    A seekable `SoundFile` stops at the header's frame count and seeks after each read, which
    breaks mp3 (frames depend on earlier ones) and flac of unknown length.
    """

    def seekable(self) -> bool:
        return False


def decode(file: Encoded, label: str, limits: Limits, track: int | None = None) -> Iterator[Piece]:
    """The audio of `file`, in order, in pieces of bounded size; of all recordings in it.

    `label` names the file in errors. `track` is one of its audio tracks, from 1; by default the one
    marked as the default. BadAudio for a file that is not audio, is damaged or truncated; damage
    may show only after some pieces. TooLong if the header exceeds `limits`; callers must count the
    pieces too, as a header may be wrong. BadOption for a missing track.
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise BadAudio(f"{label} is empty (0 bytes): record or fetch it again")
    piped = unfinished(file, size)
    if piped is not None:
        yield from _decoded(piped, _opened(piped, label, limits), size, label, limits, track)
        return
    sound = _opened(file, label, limits)  # first: searching a long file takes time
    at = file.tell()
    starts = links(file, size)
    file.seek(at)  # where libsndfile continues
    if len(starts) == 1:
        yield from _decoded(file, sound, size, label, limits, track)
        return
    for number, (start, stop) in enumerate(pairwise([*starts, size]), start=1):
        part = Part(file, start, stop)
        name = f"{label} (part {number} of {len(starts)})"
        sound = _opened(part, name, limits)
        yield from _decoded(part, sound, stop - start, name, limits, track)


def _opened(file: Source, label: str, limits: Limits) -> _Sequential | None:
    """The file opened by libsndfile, or None if it cannot; TooLong by its header."""
    file.seek(0)
    try:
        # By descriptor: libsndfile then reads by itself and ignores the file's name.
        source = file.fileno() if isinstance(file, Disk) else file
        sound = _Sequential(source, closefd=False)
    except soundfile.LibsndfileError:
        return None
    frames, rate = sound.frames, sound.samplerate
    knows_its_length = frames < _UNKNOWN_FRAMES and sound.format != "MP3"
    if knows_its_length and rate >= MIN_RATE:
        limits.check(label, frames, rate, 4 * frames * sound.channels)
    return sound


def _decoded(
    file: Source,
    sound: _Sequential | None,
    size: int,
    label: str,
    limits: Limits,
    track: int | None,
) -> Iterator[Piece]:
    """The audio of a file with one recording."""
    if sound is None:
        _check_caf(file, size, label)
    else:
        with sound:
            if track is not None and track > 1:
                raise no_such_track(label, track, 1)
            yield from _by_libsndfile(sound, label, size)
            return
    file.seek(0)
    yield from by_ffmpeg(file, label, limits, track)


def _by_libsndfile(sound: _Sequential, label: str, size: int) -> Iterator[Piece]:
    rate, frames = sound.samplerate, 0
    while True:
        try:
            block = sound.read(
                max(1, BLOCK_VALUES // sound.channels), dtype="float32", always_2d=True
            )
        except soundfile.LibsndfileError as error:
            raise damaged(label, frames / rate) from error
        if not len(block):
            break
        frames += len(block)
        yield rate, block
    _check_whole(sound, label, frames)
    if frames == 0 and size > HEADER_BYTES:
        raise BadAudio(
            f"{label} says that it holds no sound, yet has {size} bytes: its recorder did not "
            "finish the header, so repair it (ffmpeg -i in out.wav) or record it again"
        )


def _check_whole(sound: _Sequential, label: str, frames: int) -> None:
    """BadAudio if the header promises more than the `frames` decoded."""
    rate = sound.samplerate
    # In ogg the last page counts the frames; damaged pages before it are skipped.
    slack = {"FLAC": 0, "OGG": MISCOUNT_S * rate}.get(sound.format)
    if slack is not None and frames + slack < sound.frames < _UNKNOWN_FRAMES:
        raise cut_short(label, f"{sound.frames / rate:.1f} s", f"{frames / rate:.1f} s")
    corrected = _corrected_size(sound)
    if corrected is None:
        return
    said, there = corrected
    if said > there + _MISCOUNT_BYTES and not _is_placeholder(said):
        raise cut_short(label, f"{said} bytes", f"{there} bytes")


def _corrected_size(sound: _Sequential) -> tuple[int, int] | None:
    """Bytes of audio that the header promises and that exist, if libsndfile reports both.

    It corrects the size silently; only its log has both.
    """
    log = sound.extra_info
    align = re.search(r"^ *Block Align *: (\d+)", log, re.M)
    frame = int(align[1]) if align else 1
    if sound.format == "RF64":
        frames = re.search(r"count (\d+) does not match value from 'ds64' chunk of (\d+)", log)
        return frames and (int(frames[2]) * frame, int(frames[1]) * frame)
    if sound.format == "W64":
        data = re.search(r"^data : (\d+)$", log, re.M)
        return data and (int(data[1]) - W64_CHUNK, sound.frames * frame)
    data = re.search(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", log, re.M)
    return data and (int(data[1]), int(data[2]))


def _is_placeholder(size: int) -> bool:
    """Whether a size is a placeholder of a program that cannot rewrite its header.

    Such sizes are 2 or 4 GiB, less a header or rounded to a block.
    """
    return size > 2**30 and (size + 2**16) % 2**31 < 2**17


def _check_caf(file: Source, size: int, label: str) -> None:
    """BadAudio for a truncated caf file, which FFmpeg would read as far as it goes."""
    file.seek(0)
    at = 8 if file.read(4) == b"caff" else size
    while at + 12 <= size:
        file.seek(at)
        head = file.read(12) or b""
        length = int.from_bytes(head[4:12], "big", signed=True)  # -1: to the end
        if head.startswith(b"data") and at + 12 + length > size:
            raise cut_short(label, f"{length} bytes", f"{size - at - 12} bytes")
        if length < 0:
            return
        at += 12 + length
