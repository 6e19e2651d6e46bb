"""Any recording -> `Audio`: mono float32 samples at 16 kHz, bounded while decoding."""

import math
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from asr.audio.arrays import cut
from asr.audio.decode import decode
from asr.audio.ffmpeg import no_such_track
from asr.audio.limits import Limits
from asr.audio.links import Disk, Memory
from asr.audio.pieces import MAX_CHANNELS, MAX_RATE, MIN_RATE, Piece, Samples
from asr.audio.seeking import around
from asr.audio.selection import of_channels, of_time
from asr.audio.sources import Plain, plain
from asr.errors import BadAudio
from asr.options import SPLIT, Selection
from asr.sampling import SAMPLE_RATE

_LOUDEST = 32.0
"""30 dB above full scale. Float mixes exceed full scale a little; speech at the scale of 16-bit
integers has values of hundreds and thousands."""
_MOST_CHANGES = 100
"""Changes of the rate within one recording."""

AudioSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | tuple[npt.ArrayLike, int]
)
"""A path, the bytes of an encoded file, a file opened in binary mode, or `(samples, rate)`: samples
`(S,)`, `(S, channels)` or `(channels, S)` in an array, a tensor or a list."""


@dataclass(frozen=True, eq=False)
class Audio:
    """A recording: `samples` is `(S,)` float32, mono, at `SAMPLE_RATE`; full scale is 1.

    Samples a little above full scale, which float files may have, are kept.
    """

    samples: npt.NDArray[np.float32]

    @classmethod
    def joined(cls, pieces: Iterable[Samples]) -> "Audio":
        """The recording from the pieces `(S, 1)` of `stream`."""
        return cls(_joined(pieces)[:, 0])

    @classmethod
    def apart(cls, pieces: Iterable[Samples]) -> "tuple[Audio, ...]":
        """The channels of a recording from the pieces `(S, channels)` of `stream`."""
        return tuple(cls(np.ascontiguousarray(channel)) for channel in _joined(pieces).T)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


def load(
    source: AudioSource,
    limits: Limits = Limits(),
    name: str | None = None,
    track: int | None = None,
) -> Audio:
    """The recording in `source`: the mean of its channels, resampled to 16 kHz.

    Decodes in blocks and stops at the first one beyond a limit, so that memory depends on `limits`
    and not on the file. A file's content decides its format, not its name. Gaps in a container's
    timestamps become silence, and channels that cancel are not averaged. A recording without
    samples is valid and lasts 0 s.

    Args:
        name: the source's name in errors: by default its path, or "the audio".
        track: the audio track of a film, counted from 1; by default the one marked as default.

    Raises:
        BadAudio: it is not audio, is damaged or truncated, or has samples that are not finite or
            far beyond full scale.
        TooLong: it exceeds a limit.
        BadOption: there is no such track.
        BadMachine: what reads the format cannot be loaded.

    Thread-safe.
    """
    return Audio.joined(stream(source, limits, name, Selection(track=track)))


def load_channels(
    source: AudioSource,
    limits: Limits = Limits(),
    name: str | None = None,
    track: int | None = None,
) -> tuple[Audio, ...]:
    """The recording's channels, each as `load` returns a recording; all of the same length.

    Arguments and errors are those of `load`, and `limits.max_seconds` holds for the sum of the
    channels. A recording without any samples has one channel of 0 s.
    """
    return load_selected(source, Selection(track=track, channels=SPLIT), limits, name)


def load_selected(
    source: AudioSource,
    selection: Selection,
    limits: Limits = Limits(),
    name: str | None = None,
) -> tuple[Audio, ...]:
    """The selected sound of a source: one `Audio`, or one for each channel if they are split."""
    return Audio.apart(stream(source, limits, name, selection))


def load_stretch(path: Path, start: float = 0.0, end: float | None = None) -> Audio:
    """The recording in a file as `load` returns it, or what lies between two seconds of it.

    Where the format allows (wav, flac, aiff, caf and others), nothing before the stretch is
    decoded, and only the stretch is checked. A stretch may end after the recording.

    Raises:
        BadAudio, TooLong: as in `load`.
        BadOption: the recording ends before the start.
    """
    if not start and end is None:
        return load(path)
    until = math.inf if end is None else end
    found = around(path, start, until)
    selection = Selection(start=start, duration=until - start)
    if found is None:
        return load_selected(path, selection)[0]
    piece, begin = found
    checked = _checked([piece], Limits(), str(path), apart=False)
    sound = _resampled(of_channels(checked, selection, str(path)))
    within = replace(selection, start=start - begin)
    return Audio.joined(of_time(sound, within, str(path)))


def stream(
    source: AudioSource,
    limits: Limits = Limits(),
    name: str | None = None,
    selection: Selection = Selection(),
) -> Generator[Samples]:
    """The result of `load` or `load_channels` in pieces `(S, channels)`, as they are decoded.

    Errors are those of `load`, and BadOption where the selection is not there; damage may show only
    after some pieces. A recording of 0 s has no pieces.
    """
    given = plain(source, name or "the audio", limits)
    label = name or (given if isinstance(given, str) else "the audio")
    with closing(_pieces(given, limits, label, selection.track)) as pieces:
        checked = _checked(pieces, limits, label, apart=selection.is_split)
        sound = _resampled(of_channels(checked, selection, label))
        yield from of_time(sound, selection, label)


def _pieces(source: Plain, limits: Limits, label: str, track: int | None) -> Generator[Piece]:
    """The audio of `source` in pieces of bounded size; a file stays open until this is closed."""
    if isinstance(source, tuple):
        if track is not None and track > 1:
            raise no_such_track(label, track, 1)
        yield from cut(source, label)
    elif isinstance(source, bytes):
        yield from decode(Memory(source), label, limits, track)
    else:
        with _opened(Path(source), label) as file:
            yield from decode(file, label, limits, track)


def check_opens(path: Path) -> None:
    """BadAudio where there is no file that can be opened; nothing is read."""
    _opened(path, str(path)).close()


def _opened(path: Path, label: str) -> Disk:
    try:
        if not label:  # `Path("")` is the working folder
            raise BadAudio("the path of a recording is empty: give one")
        if path.is_dir():
            raise BadAudio(f"{label} is a folder: give a recording")
        if path.exists() and not path.is_file():  # opening a named pipe would wait for its writer
            raise BadAudio(f"{label} is not a regular file: save the recording to a file first")
        return Disk(path)
    except FileNotFoundError as error:
        if "://" in label:
            raise BadAudio(
                f"{label} is an address, which only `asr transcribe` reads: give the bytes"
            ) from error
        raise BadAudio(f"{label} does not exist: check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadAudio(f"{label} cannot be opened ({reason}): check the path") from error


def _resampled(pieces: Iterable[Piece]) -> Iterator[Samples]:
    """The pieces at 16 kHz; each stretch with one rate is resampled by itself."""
    resampler: soxr.ResampleStream | None = None
    last_rate, n_channels = SAMPLE_RATE, 1
    for rate, samples in pieces:
        if rate != last_rate:
            if resampler is not None:
                yield _tail(resampler, n_channels)
            last_rate, n_channels = rate, samples.shape[1]
            resampler = (
                None
                if rate == SAMPLE_RATE
                else soxr.ResampleStream(rate, SAMPLE_RATE, n_channels, dtype="float32")
            )
        yield samples if resampler is None else resampler.resample_chunk(samples)
    if resampler is not None:
        yield _tail(resampler, n_channels)


def _tail(resampler: soxr.ResampleStream, n_channels: int) -> Samples:
    rest: Samples = resampler.resample_chunk(np.empty((0, n_channels), np.float32), last=True)
    return rest


def _joined(pieces: Iterable[Samples]) -> Samples:
    parts = list(pieces)
    return np.concatenate(parts) if parts else np.empty((0, 1), np.float32)


def _checked(pieces: Iterable[Piece], limits: Limits, label: str, apart: bool) -> Iterator[Piece]:
    """The pieces that pass every check; `apart` if channels are kept separate."""
    last_rate, n_channels, changes, frames, size = 0, 0, 0, 0, 0
    for rate, samples in pieces:
        _check_rate(rate, label)
        _check_channels(samples.shape[1], label)
        if apart and samples.shape[1] != (n_channels or samples.shape[1]):
            raise BadAudio(
                f"{label} changes from {n_channels} to {samples.shape[1]} channels midway: "
                "have them mixed, or convert it to one number first"
            )
        if rate != (last_rate or rate):
            changes += 1
            _check_changes(changes, label)
            frames = frames * rate // last_rate  # the samples so far, at the new rate
        last_rate, n_channels = rate, samples.shape[1]
        _check_numbers(samples, frames, rate, label)
        frames, size = frames + len(samples), size + 4 * samples.size
        limits.check(label, frames, rate, size, n_channels if apart else 1)
        yield rate, samples


def _check_channels(n_channels: int, label: str) -> None:
    if n_channels > MAX_CHANNELS:
        raise BadAudio(
            f"{label} has {n_channels} channels, more than {MAX_CHANNELS}: its header is "
            "damaged, or it must be split first"
        )


def _check_rate(rate: int, label: str) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BadAudio(
            f"{label} has a sampling rate of {rate} Hz, outside {MIN_RATE} to {MAX_RATE}: "
            "its header is damaged, or the rate was given wrong"
        )


def _check_changes(changes: int, label: str) -> None:
    # Concatenated recordings may differ in their rates; each change needs a new resampler.
    if changes > _MOST_CHANGES:
        raise BadAudio(
            f"{label} changes its sampling rate more than {_MOST_CHANGES} times: it is damaged, "
            "or must be converted to one rate first"
        )


def _check_numbers(samples: Samples, frames_before: int, rate: int, label: str) -> None:
    if not samples.size or max(samples.max(), -samples.min()) <= _LOUDEST:  # false for NaN
        return
    finite = np.isfinite(samples).all(axis=1)
    if not finite.all():
        seconds = (frames_before + int(finite.argmin())) / rate
        raise BadAudio(
            f"{label} has samples that are not finite numbers (NaN or infinite), the first at "
            f"{seconds:.3f} s: write it anew from its source"
        )
    loud = np.abs(samples).max(axis=1)
    seconds = (frames_before + int((loud > _LOUDEST).argmax())) / rate
    raise BadAudio(
        f"{label} has samples of {loud.max():.4g}, beyond the range of any sound, the first at "
        f"{seconds:.3f} s: full scale is 1, so divide floats at the scale of 16-bit integers by "
        "32768, or write it anew from its source"
    )
