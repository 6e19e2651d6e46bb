"""Any recording -> `Audio`: mono float32 samples at 16 kHz, bounded while decoding."""

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from asr.audio.arrays import MAX_CHANNELS, cut
from asr.audio.decode import Memory, Piece, decode
from asr.errors import BadAudio, TooLong

SAMPLE_RATE = 16_000
MIN_RATE, MAX_RATE = 1_000, 384_000
"""Sampling rates in Hz that sound is recorded at; others come from damaged or forged headers."""

AudioSource: TypeAlias = str | os.PathLike[str] | bytes | tuple[npt.ArrayLike, int]
"""A path, an encoded file's bytes, or `(samples, rate)` with samples `(S,)` or `(S, channels)`."""


@dataclass(frozen=True)
class Limits:
    """How much sound is accepted; counted while decoding, whatever the header claims."""

    max_seconds: float = 4 * 3600.0
    """Longest recording."""
    max_bytes: int = 16 * 2**30
    """Most decoded bytes, as float32 in all channels at the file's own rate: bounds the work that
    many channels or a high rate make of few seconds. 4 h of 96 kHz stereo take 11 GB."""


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
    if isinstance(source, tuple):
        label = name or "the audio"
        return _gather(cut(source, label), limits, label)
    if isinstance(source, bytes):
        label = name or "the audio"
        return _gather(decode(Memory(source), label), limits, label)
    if not isinstance(source, (str, os.PathLike)):
        raise BadAudio(
            f"{name or 'the audio'} is given as {type(source).__name__}: "
            "give a path, a file's bytes, or (samples, rate)"
        )
    label = name or os.fspath(source)
    with _opened(Path(source), label) as file:
        return _gather(decode(file, label), limits, label)


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


def _gather(pieces: Iterable[Piece], limits: Limits, label: str) -> Audio:
    parts: list[npt.NDArray[np.float32]] = []
    resampler: soxr.ResampleStream | None = None
    for rate, samples in _checked(pieces, limits, label):
        if resampler is None and rate != SAMPLE_RATE:
            resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        parts.append(samples if resampler is None else resampler.resample_chunk(samples))
    if resampler is not None:
        parts.append(resampler.resample_chunk(np.empty(0, np.float32), last=True))
    return Audio(np.concatenate(parts) if parts else np.empty(0, np.float32))


def _checked(
    pieces: Iterable[Piece], limits: Limits, label: str
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Each piece as its rate and mono samples `(frames,)`, once it has passed every check."""
    first_rate, frames, size = 0, 0, 0
    for rate, samples in pieces:
        _check_rate(rate, first_rate or rate, label)
        if samples.shape[1] > MAX_CHANNELS:
            raise BadAudio(
                f"{label} has {samples.shape[1]} channels, more than {MAX_CHANNELS}: its header is "
                "damaged, or it must be split first"
            )
        first_rate = rate
        mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
        _check_numbers(mono, frames, rate, label)
        frames, size = frames + len(samples), size + 4 * samples.size
        if frames > limits.max_seconds * rate:
            raise TooLong(
                f"{label} is too long: at least {frames / rate:.1f} s, where {limits.max_seconds:g}"
                " s are allowed; cut it into shorter recordings"
            )
        if size > limits.max_bytes:
            raise TooLong(
                f"{label} is too large: at least {size} bytes once decoded, where "
                f"{limits.max_bytes} are allowed; reduce its channels or sampling rate"
            )
        yield rate, np.ascontiguousarray(mono)


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


def _check_numbers(
    mono: npt.NDArray[np.float32], frames_before: int, rate: int, label: str
) -> None:
    finite = np.isfinite(mono)
    if not finite.all():
        seconds = (frames_before + int(finite.argmin())) / rate
        raise BadAudio(
            f"{label} has samples that are not finite numbers (NaN or infinite), the first at "
            f"{seconds:.3f} s: write it anew from its source"
        )
