"""What a caller gives to be transcribed -> recordings, checked, in groups that share batches."""

import os
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from asr.audio import PIECEWISE, Audio, AudioSource, Limits, Recording, read_header
from asr.audio.sources import plain
from asr.errors import AsrError, BadAudio, BadOption
from asr.options import Options, Selection, check_channels
from asr.runtime.windows import WINDOW_SECONDS

Source: TypeAlias = AudioSource | Audio

_SINGLE = (str, bytes, bytearray, memoryview, os.PathLike, Mapping, AbstractSet)
"""What can be iterated over and is one source, or none: sets have no order."""


def are_several(source: object) -> bool:
    """Whether these are recordings, rather than one."""
    if isinstance(source, tuple) and len(source) == 2:  # else (samples, rate)
        samples, rate = source
        number = isinstance(rate, int | float) or getattr(rate, "ndim", None) == 0
        swapped = isinstance(samples, int | float) and hasattr(rate, "ndim")
        return not (number or swapped or hasattr(samples, "ndim"))
    if hasattr(source, "ndim") or hasattr(source, "read"):  # an array; a file
        return False
    return isinstance(source, Iterable) and not isinstance(source, _SINGLE)


def selected(
    track: int | None, channels: str | int, start: float, duration: float, options: Options
) -> Selection:
    """What is read of each source; BadOption if it cannot be, or not with these options."""
    selection = Selection(track=track, channels=str(channels), start=start, duration=duration)
    check_channels(options, selection)
    return selection


def checked(source: Source, selection: Selection) -> Recording:
    """A source as a recording that may be read several times.

    Raises:
        BadAudio: it is no source, cannot be read, or is loaded and no row of finite float32.
        TooLong: it is an open file with more bytes than are read.
        BadOption: it is loaded, and a part of it is asked for.
    """
    if not isinstance(source, Audio):
        return Recording(plain(source, "the audio", Limits()), selection, PIECEWISE)
    if selection != Selection():
        raise BadOption(
            "track, channels, start and duration have no effect on sound that is loaded; give them "
            "where it is loaded."
        )
    samples = source.samples
    sound = isinstance(samples, np.ndarray) and samples.ndim == 1 and samples.dtype == np.float32
    if not (sound and np.isfinite(samples).all()):
        raise BadAudio("the audio is no row of finite float32 samples: let asr.audio.load make it")
    return Recording(source)


def open_sources(
    sources: Iterable[Source], selection: Selection, several: bool
) -> Iterator[Recording | tuple[Audio, ...]]:
    """Each of the sources; an error says which of several it is about."""
    for number, source in enumerate(sources, start=1):
        try:
            recording = _recording(source, selection)
        except AsrError as error:
            if not several:
                raise
            raise error.behind(f"source {number}") from error
        yield recording


def _recording(source: Source, selection: Selection) -> Recording | tuple[Audio, ...]:
    """A long recording in a file, to be read later; the channels of any other."""
    recording = checked(source, selection)
    sound = recording.source
    if isinstance(sound, Audio):
        return (sound,)
    if (
        isinstance(sound, str)
        and os.path.isfile(sound)
        and read_header(sound).seconds > WINDOW_SECONDS
    ):
        return recording
    return replace(recording, limits=Limits()).load()


def in_groups(
    recordings: Iterable[Recording | tuple[Audio, ...]], seconds: float
) -> Iterator[Recording | list[tuple[Audio, ...]]]:
    """The recordings in groups that end once they hold `seconds` of audio; long ones alone."""
    group: list[tuple[Audio, ...]] = []
    held = 0.0
    for recording in recordings:
        if isinstance(recording, Recording):
            if group:
                yield group
                group, held = [], 0.0
            yield recording
            continue
        group.append(recording)
        held += sum(audio.duration for audio in recording)
        if held >= seconds:
            yield group
            group, held = [], 0.0
    if group:
        yield group
