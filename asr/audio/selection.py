"""The selected sound of a recording: which channels, and from when to when."""

from collections.abc import Iterable, Iterator

from asr.audio.mix import mixed
from asr.audio.pieces import Piece, Samples
from asr.errors import BadOption
from asr.options import Selection
from asr.sampling import SAMPLE_RATE


def of_channels(pieces: Iterable[Piece], selection: Selection, label: str) -> Iterator[Piece]:
    """The pieces `(S, channels)` with the selected channels.

    Raises:
        BadOption: there is no such channel.
    """
    if selection.channel is None:
        yield from pieces if selection.is_split else mixed(pieces)
        return
    for rate, samples in pieces:
        if selection.channel > samples.shape[1]:
            raise BadOption(
                f"channels {selection.channel} is not in {label}, which has {samples.shape[1]}: "
                "choose another number, or mix.",
                option="channels",
            )
        yield rate, samples[:, selection.channel - 1 : selection.channel]


def of_time(pieces: Iterable[Samples], selection: Selection, label: str) -> Iterator[Samples]:
    """The pieces at 16 kHz from `start` on; nothing is decoded past the end of `duration`.

    Raises:
        BadOption: the recording ends before the start.
    """
    first = round(selection.start * SAMPLE_RATE)
    last = first + selection.duration * SAMPLE_RATE
    at = 0
    for samples in pieces:
        begin, end = max(0, first - at), int(min(len(samples), last - at))
        at += len(samples)
        if begin < end:
            yield samples[begin:end]
        if at >= last:
            return
    if first and at <= first:
        seconds = at / SAMPLE_RATE
        raise BadOption(
            f"start {selection.start:g} is not within {label}, which lasts {seconds:.1f} s: choose "
            "an earlier one.",
            option="start",
        )
