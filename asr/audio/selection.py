"""Which sound of a source is read."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from asr.audio.mix import mixed
from asr.audio.pieces import MAX_CHANNELS, Piece, Samples
from asr.errors import BadOption
from asr.options import check_numbers, option
from asr.sampling import SAMPLE_RATE

MIX, SPLIT = "mix", "split"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which sound of a source is read: by default the mean of all channels, from start to end.

    Raises:
        BadOption: a value cannot be.
    """

    track: int | None = option(
        None, "Audio track of films, from 1; else the one marked as the default."
    )
    channels: str = option(
        MIX,
        "mix reads the mean of all channels, split each by itself, in one transcript, and a number "
        "that channel alone, from 1.",
    )
    start: float = option(0.0, "Seconds that are skipped; times count from the start anyway.", 0)
    duration: float = option(math.inf, "The most seconds that are read.", 0)

    def __post_init__(self) -> None:
        check_numbers(self)
        track = self.track
        whole = isinstance(track, int) and not isinstance(track, bool)
        if track is not None and not (whole and track >= 1):
            raise BadOption(f"track {track!r} is no whole number from 1: correct it.")
        if self.channels not in (MIX, SPLIT) and self.channel is None:
            raise BadOption(
                f"channels {self.channels!r} are not known: choose mix, split, or the number of a "
                f"channel, 1 to {MAX_CHANNELS}."
            )

    @property
    def channel(self) -> int | None:
        """The only channel that is read, from 1."""
        number = str(self.channels)
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= MAX_CHANNELS):
            return None
        return int(number)

    @property
    def is_split(self) -> bool:
        """Whether channels are read each by itself."""
        return self.channels == SPLIT

    def of_channels(self, pieces: Iterable[Piece], label: str) -> Iterator[Piece]:
        """The pieces `(S, channels)` with the selected channels.

        Raises:
            BadOption: there is no such channel.
        """
        if self.channel is None:
            yield from pieces if self.is_split else mixed(pieces)
            return
        for rate, samples in pieces:
            if self.channel > samples.shape[1]:
                raise BadOption(
                    f"channels {self.channel} is not in {label}, which has {samples.shape[1]}: "
                    "choose another number, or mix."
                )
            yield rate, samples[:, self.channel - 1 : self.channel]

    def of_time(self, pieces: Iterable[Samples], label: str) -> Iterator[Samples]:
        """The pieces at 16 kHz from `start` on; nothing is decoded past the end of `duration`.

        Raises:
            BadOption: the recording ends before the start.
        """
        first = round(self.start * SAMPLE_RATE)
        last = first + self.duration * SAMPLE_RATE
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
                f"start {self.start:g} is not within {label}, which lasts {seconds:.1f} s: choose "
                "an earlier one."
            )
