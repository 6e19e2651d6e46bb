"""Any recording -> `Audio`: mono float32 samples at 16 kHz, bounded while decoding."""

import io
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from asr.audio.arrays import MAX_CHANNELS, cut
from asr.audio.decode import MAX_RATE, MIN_RATE, Memory, Piece, Samples, decode
from asr.audio.limits import Limits
from asr.errors import BadAudio

SAMPLE_RATE = 16_000

AudioSource: TypeAlias = str | os.PathLike[str] | bytes | tuple[npt.ArrayLike, int]
"""A path, an encoded file's bytes, or `(samples, rate)` with samples `(S,)` or `(S, channels)`."""


@dataclass(frozen=True, eq=False)
class Audio:
    """A recording: `samples` is `(S,)` float32, mono, at `SAMPLE_RATE`; full scale is 1.

    Samples beyond full scale (float files may hold them) are kept.
    """

    samples: npt.NDArray[np.float32]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


def load(source: AudioSource, limits: Limits = Limits(), name: str | None = None) -> Audio:
    """The recording in `source`: the mean of its channels, resampled to 16 kHz.

    Decodes in blocks and stops at the first that passes a limit, so that memory follows `limits`
    and not the file. A file's content decides its format, not its name. No samples at all are a
    valid recording of 0 s.

    `name` is what errors call the source: by default its path, or "the audio". BadAudio where it
    is not sound, is damaged or cut short, or holds samples that are not numbers; TooLong where it
    passes a limit. Thread-safe.
    """
    return Audio(_joined(stream(source, limits, name))[:, 0])


def load_channels(
    source: AudioSource, limits: Limits = Limits(), name: str | None = None
) -> tuple[Audio, ...]:
    """The recording's channels, each as `load` gives a recording; all of one length.

    Errors are those of `load`, and `limits.max_seconds` holds for the sum of the channels. A
    recording without any samples has one channel of 0 s.
    """
    samples = _joined(stream(source, limits, name, channels=True))
    return tuple(Audio(np.ascontiguousarray(channel)) for channel in samples.T)


def stream(
    source: AudioSource,
    limits: Limits = Limits(),
    name: str | None = None,
    channels: bool = False,
) -> Iterator[Samples]:
    """What `load` gives, or `load_channels`, in pieces `(S, channels)` as they are decoded.

    Errors are those of `load`; damage may show only after some pieces. No piece at all is a
    recording of 0 s.
    """
    label = _label(source, name)
    with closing(_pieces(source, limits, label)) as pieces:
        yield from _resampled(_checked(pieces, limits, label, _apart if channels else _mixed))


def _label(source: AudioSource, name: str | None) -> str:
    if isinstance(source, (str, os.PathLike)):
        return name or os.fspath(source)
    return name or "the audio"


def _pieces(source: AudioSource, limits: Limits, label: str) -> Generator[Piece]:
    """The sound of `source` in pieces of bounded size; a file stays open until this is closed."""
    if isinstance(source, tuple):
        yield from cut(source, label)
    elif isinstance(source, bytes):
        yield from decode(Memory(source), label, limits)
    elif isinstance(source, (str, os.PathLike)):
        with _opened(Path(source), label) as file:
            yield from decode(file, label, limits)
    else:
        raise BadAudio(
            f"{label} is given as {type(source).__name__}: "
            "give a path, a file's bytes, or (samples, rate)"
        )


def _opened(path: Path, label: str) -> io.FileIO:
    try:
        if path.is_dir():
            raise BadAudio(f"{label} is a folder: give a recording")
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            raise BadAudio(f"{label} is not a regular file: save the recording to a file first")
        return io.FileIO(path)
    except FileNotFoundError as error:
        raise BadAudio(f"{label} does not exist: check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadAudio(f"{label} cannot be opened ({reason}): check the path") from error


def _mixed(samples: Samples) -> Samples:
    return samples if samples.shape[1] == 1 else samples.mean(axis=1, keepdims=True)


def _apart(samples: Samples) -> Samples:
    return samples


def _resampled(pieces: Iterable[Piece]) -> Iterator[Samples]:
    """The pieces at 16 kHz."""
    resampler: soxr.ResampleStream | None = None
    n_channels = 1
    for rate, samples in pieces:
        if rate == SAMPLE_RATE:
            yield samples
            continue
        n_channels = samples.shape[1]
        if resampler is None:
            resampler = soxr.ResampleStream(rate, SAMPLE_RATE, n_channels, dtype="float32")
        yield resampler.resample_chunk(samples)
    if resampler is not None:
        yield resampler.resample_chunk(np.empty((0, n_channels), np.float32), last=True)


def _joined(pieces: Iterable[Samples]) -> Samples:
    parts = list(pieces)
    return np.concatenate(parts) if parts else np.empty((0, 1), np.float32)


def _checked(
    pieces: Iterable[Piece], limits: Limits, label: str, kept: Callable[[Samples], Samples]
) -> Iterator[Piece]:
    """What is `kept` of each piece, once that has passed every check."""
    first_rate, n_channels, frames, size = 0, 0, 0, 0
    for rate, samples in pieces:
        _check_rate(rate, first_rate or rate, label)
        _check_channels(samples.shape[1], label)
        wanted = kept(samples)
        if wanted.shape[1] != (n_channels or wanted.shape[1]):
            raise BadAudio(
                f"{label} changes from {n_channels} to {wanted.shape[1]} channels midway: "
                "have them mixed, or convert it to one number first"
            )
        first_rate, n_channels = rate, wanted.shape[1]
        _check_numbers(wanted, frames, rate, label)
        frames, size = frames + len(samples), size + 4 * samples.size
        limits.check(label, frames, rate, size, n_channels)
        yield rate, np.ascontiguousarray(wanted)


def _check_channels(n_channels: int, label: str) -> None:
    if n_channels > MAX_CHANNELS:
        raise BadAudio(
            f"{label} has {n_channels} channels, more than {MAX_CHANNELS}: its header is "
            "damaged, or it must be split first"
        )


def _check_rate(rate: int, first_rate: int, label: str) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BadAudio(
            f"{label} has a sampling rate of {rate} Hz, outside {MIN_RATE} to {MAX_RATE}: "
            "its header is damaged, or the rate was given wrong"
        )
    if rate != first_rate:
        raise BadAudio(
            f"{label} changes its sampling rate from {first_rate} to {rate} Hz midway: "
            "convert it to one rate first"
        )


def _check_numbers(samples: Samples, frames_before: int, rate: int, label: str) -> None:
    finite = np.isfinite(samples).all(axis=1)
    if not finite.all():
        seconds = (frames_before + int(finite.argmin())) / rate
        raise BadAudio(
            f"{label} has samples that are not finite numbers (NaN or infinite), the first at "
            f"{seconds:.3f} s: write it anew from its source"
        )
