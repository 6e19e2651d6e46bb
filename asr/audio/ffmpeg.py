"""Decoding with FFmpeg: one audio track of a container, each frame at its time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asr.audio.formats import CONTAINERS, KNOW_THEIR_LENGTH, RESTARTED, TIMED
from asr.audio.limits import Limits
from asr.audio.links import Source
from asr.audio.pieces import BLOCK_VALUES, Piece, Samples
from asr.audio.refusals import cut_short, damaged, head_alone, unreadable
from asr.audio.scale import to_float
from asr.errors import BadAudio, BadOption, installed

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

# FFmpeg rounds lengths, and writers count padding as audio.
MISCOUNT_S = 0.5
# Tolerance between a frame's time and the audio before it: containers round times, encoders have
# delays, and clocks jitter.
_JITTER_S = 0.05
# A clock that goes back by more was reset, as in concatenated files; so was one that jumps ahead
# by more, in formats whose clock can be reset.
_BACK_S = 1.0
_AHEAD_S = 3600.0
_TYPES: dict[str, Any] = {
    "u8": np.uint8, "s16": np.int16, "s32": np.int32, "s64": np.int64,
    "flt": np.float32, "dbl": np.float64,
}  # fmt: skip


class _Clock:
    """Counts the audio so far, and computes the gap before a frame."""

    def __init__(self, origin: float | None, may_restart: bool) -> None:
        self.seconds = 0.0
        """Of audio so far, including silence."""
        self._origin = origin
        self._may_restart = may_restart

    def missing(self, time: float | None) -> float:
        """Seconds of silence before a frame with the timestamp `time`."""
        if time is None:
            return 0.0
        if self._origin is None:
            self._origin = time
        gap = time - self._origin - self.seconds
        if gap < -_BACK_S or (self._may_restart and gap > _AHEAD_S):
            self._origin = time - self.seconds
            return 0.0
        return gap if gap > _JITTER_S else 0.0


def by_ffmpeg(file: Source, label: str, limits: Limits, track: int | None) -> Iterator[Piece]:
    """As `_by_ffmpeg`, in larger pieces, since codecs have small frames."""
    held: list[Samples] = []
    values, shape = 0, (0, 0)
    for rate, samples in _by_ffmpeg(file, label, limits, track):
        if held and (values >= BLOCK_VALUES // 2 or shape != (rate, samples.shape[1])):
            yield shape[0], np.concatenate(held)
            held, values = [], 0
        shape = rate, samples.shape[1]
        held.append(samples)
        values += samples.size
    if held:
        yield shape[0], np.concatenate(held)


def _by_ffmpeg(file: Source, label: str, limits: Limits, track: int | None) -> Iterator[Piece]:
    """The audio of a track in pieces, with silence for gaps in the container's timestamps.

    `track` counts audio tracks from 1; by default it is the default track, or the first.
    Errors are those of `decode`, and BadMachine where FFmpeg cannot be loaded.
    """
    with installed():
        import av  # slow to import, so only if needed

    clock = _Clock(None, False)
    try:
        with av.open(file, "r", options={"format_whitelist": CONTAINERS}) as container:
            stream = _chosen(container, track, label)
            kind = container.format.name.split(",")[0]
            promised = _promised_seconds(container, stream) if kind in KNOW_THEIR_LENGTH else 0.0
            limits.check(label, int(promised * 1000), 1000, 0)
            start = container.start_time
            clock = _Clock(None if start is None else start / 1e6, kind in RESTARTED)
            before: float | None = None
            for frame in container.decode(stream):
                silence = clock.missing(frame.time if kind in TIMED else None)
                before = silence if before is None else before
                yield from _placed(frame, round(silence * frame.sample_rate), clock, label, limits)
    except (av.FFmpegError, ValueError) as error:  # ValueError: an unknown codec or sample type
        decoded = clock.seconds
        raise damaged(label, decoded) if decoded else unreadable(file, label) from error
    if before is None:
        raise head_alone(label)
    if promised > clock.seconds - before + MISCOUNT_S:
        raise cut_short(label, f"{promised:.1f} s", f"{clock.seconds - before:.1f} s")


def _chosen(container: "InputContainer", track: int | None, label: str) -> "AudioStream":
    from av.stream import Disposition

    tracks = container.streams.audio
    if not tracks:
        raise BadAudio(f"{label} has no audio stream: give a recording with sound")
    if track is not None and track > len(tracks):
        raise no_such_track(label, track, len(tracks))
    if track is not None:
        stream = tracks[track - 1]
    else:
        readable = [stream for stream in tracks if stream.codec_context is not None]
        marked = [stream for stream in readable if stream.disposition & Disposition.default]
        stream = [*marked, *readable, *tracks][0]
    if stream.codec_context is None:
        raise BadAudio(
            f"{label} holds its sound in a codec that is not read: convert it, for example to flac"
        )
    return stream


def no_such_track(label: str, track: int, count: int) -> BadOption:
    """The requested track does not exist."""
    choice = "one sound track: leave the track out"
    if count > 1:
        choice = f"{count} sound tracks: choose 1 to {count}"
    return BadOption(f"track {track} is not in {label}, which has {choice}", option="track")


def _promised_seconds(container: "InputContainer", stream: "AudioStream") -> float:
    """The track's duration by its header, without the time before it; 0 if unknown."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    shown = [
        candidate
        for candidate in container.streams
        if candidate.type in ("audio", "video", "subtitle")
    ]
    if container.duration is None or len(shown) > 1:  # another track may be longer
        return 0.0
    # FFmpeg counts in microseconds. Some writers count from 0, even if their clock starts later.
    return (container.duration - max(0, container.start_time or 0)) / 1e6


def _placed(
    frame: "AudioFrame", silent: int, clock: _Clock, label: str, limits: Limits
) -> Iterator[Piece]:
    """The frame after so many silent samples."""
    rate, samples = frame.sample_rate, _samples(frame)
    if silent:
        limits.check(label, round(clock.seconds * rate) + silent, rate, 0)
    n_channels = samples.shape[1]
    block = BLOCK_VALUES // n_channels
    for start in range(0, silent, block):
        yield rate, np.zeros((min(block, silent - start), n_channels), np.float32)
    clock.seconds += (silent + len(samples)) / rate
    yield rate, samples


def _samples(frame: "AudioFrame") -> Samples:
    from av.audio.plane import AudioPlane

    kind, n_channels = frame.format.name, frame.layout.nb_channels
    planar = frame.format.is_planar
    dtype = _TYPES.get(kind.removesuffix("p") if planar else kind)
    if dtype is None or not n_channels:
        raise ValueError(f"samples of type {kind} in {n_channels} channels")
    count = frame.samples if planar else frame.samples * n_channels
    # Plane by plane: for eight planar channels, PyAV's `frame.planes` has an invalid one.
    planes: list[npt.NDArray[Any]] = [
        np.frombuffer(memoryview(AudioPlane(frame, index)), dtype, count)
        for index in range(n_channels if planar else 1)
    ]
    if not planar:
        return to_float(planes[0]).reshape(-1, n_channels)
    samples = np.empty((count, n_channels), np.float32)
    for index, plane in enumerate(planes):
        samples[:, index] = to_float(plane)
    return samples
