"""Where somebody speaks in a stream of samples: turns, by loudness and by what the model hears.

The code here is pure. It looks at frames of 20 ms, counted from the start of the stream, so turns
do not depend on how the stream was cut into messages.

A turn opens where the sound rises above the noise, and closes where it stays below for long enough.
Loudness alone cannot tell noise from speech; the model can. So `heard` tells the detector what the
model has read in the open turn: where it hears no word, what sounds is noise, and its level is
taken for that of the noise from then on.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from asr.audio import SAMPLE_RATE
from service.live.held import Samples

FRAME = SAMPLE_RATE // 50
"""Samples of a frame: 20 ms."""
_FLOOR_DB, _LOWEST_DB = -60.0, -65.0  # of noise: as assumed at first, and the least
_LEAST_RISE_DB, _RISE_DB = 3.0, 12.0  # above the noise: speech, at threshold 0, and more at 1
_HYSTERESIS_DB = 3.0  # speech goes on a little below the level at which it starts
_FALL, _CLIMB_DB = 0.2, 0.03  # of the noise's level in a frame: fast down, 1.5 dB a second up
_ONSET = 5  # frames in which speech starts,
_ONSET_LOUD = 3  # if so many are loud
_NO_WORD_FRAMES = 100  # after 2 s without any word, a turn is noise
_LATE_FRAMES = 10  # the model may hear a word so much later than it begins
_SMOOTH_FRAMES = 10  # a cut lies in the middle of the quietest 0.2 s
_SILENCE = 1e-10  # -100 dB


@dataclass(frozen=True)
class Detection:
    """How turns are found."""

    threshold: float = 0.5
    """From 0 to 1: how far speech must rise above the noise, from 3 to 15 dB."""
    padding_ms: int = 300
    """Of a turn, before and after what is loud."""
    silence_ms: int = 500
    """A pause so long ends a turn."""

    @property
    def rise_db(self) -> float:
        """How far speech rises above the noise."""
        return _LEAST_RISE_DB + _RISE_DB * self.threshold

    @property
    def padding(self) -> int:
        """In frames; no more than the pause."""
        return _frames(min(self.padding_ms, self.silence_ms))

    @property
    def silence(self) -> int:
        """In frames, at least one."""
        return max(1, _frames(self.silence_ms))


@dataclass(frozen=True)
class Turn:
    """Samples `[start, stop)` of the stream, in which somebody speaks."""

    start: int
    stop: int

    @property
    def seconds(self) -> float:
        """Length."""
        return (self.stop - self.start) / SAMPLE_RATE


class Turns:
    """Samples in, turns out: each is given once it has closed.

    Args:
        detection: how turns are found; None if they are closed by `commit` alone. It may be changed
            while a turn is open.
        longest_s: a turn that lasts so long is cut at its quietest place.
    """

    def __init__(self, detection: Detection | None, longest_s: float) -> None:
        self.detection = detection
        self._longest = _frames(1000 * longest_s)
        self._rest = np.empty(0, np.float32)
        self._levels: list[float] = []  # of the frames from `_first` on, in decibels
        self._first = 0
        self._start: int | None = None  # frame in which the open turn starts
        self._loud_until = 0  # the frame after the last loud one
        self._floor = _FLOOR_DB

    @property
    def start(self) -> int | None:
        """The first sample of the open turn; None if none is open."""
        return None if self._start is None else self._start * FRAME

    @property
    def stop(self) -> int:
        """The sample after the last whole frame."""
        return self._end * FRAME

    @property
    def needed(self) -> int:
        """No turn from now on starts before this sample."""
        return self._first * FRAME

    @property
    def pause(self) -> int | None:
        """Where the open turn will stop if the pause that has begun lasts; None before that."""
        if self._start is None or self.detection is None:
            return None
        stop = self._loud_until + self.detection.padding
        return stop * FRAME if stop <= self._end else None

    def add(self, samples: Samples) -> list[Turn]:
        """The turns that close with the next samples `(S,)`."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % FRAME
        self._rest = samples[whole:].copy()
        return list(self._take(_levels(samples[:whole])))

    def commit(self) -> Turn | None:
        """Close the open turn now, with all whole frames; None if none is open."""
        if self._start is None:
            return None
        return self._close(self._end)

    def clear(self) -> None:
        """Forget the open turn and what came before."""
        self._rest = np.empty(0, np.float32)
        self._start, self._first, self._levels = None, self._end, []

    def heard(self, stop: int, word_end: int | None) -> tuple[list[Turn], bool]:
        """The model has read the open turn up to a sample; its last word ends at another.

        Args:
            word_end: None if it heard no word.

        Returns:
            The turns that close with that, and whether the open turn was noise and is forgotten.
        """
        if self._start is None or self.detection is None:
            return [], False
        read, start = stop // FRAME, self._start
        if word_end is None:
            if read - start < _NO_WORD_FRAMES:
                return [], False
            self._learn_noise(start, read)
            return list(self._again(read)), True
        last = -(-word_end // FRAME)
        if read - last < self.detection.silence + _LATE_FRAMES:
            return [], False
        self._learn_noise(last, read)
        closed = self._close(min(read, last + self.detection.padding))
        return [closed, *self._again(closed.stop // FRAME)], False

    @property
    def _end(self) -> int:
        return self._first + len(self._levels)

    def _take(self, levels: list[float]) -> Iterator[Turn]:
        for level in levels:
            self._levels.append(level)
            yield from self._step(level)

    def _step(self, level: float) -> Iterator[Turn]:
        """Look at one more frame, the last one."""
        detection = self.detection
        if detection is None:
            self._start = self._first if self._start is None else self._start
        else:
            self._follow_noise(level)
            yield from self._by_loudness(level, detection)
        if self._start is not None and self._end - self._start >= self._longest:
            closed = self._close(self._quietest(self._start))
            self._start, self._loud_until = closed.stop // FRAME, self._end
            yield closed

    def _by_loudness(self, level: float, detection: Detection) -> Iterator[Turn]:
        if self._start is None:
            recent = self._levels[-_ONSET:]
            loud = [one > self._floor + detection.rise_db for one in recent]
            if sum(loud) >= _ONSET_LOUD and loud[-1]:
                onset = self._end - len(loud) + loud.index(True)
                self._start = max(self._first, onset - _frames(detection.padding_ms))
                self._loud_until = self._end
            else:
                self._forget(self._end - _ONSET - _frames(detection.padding_ms))
        elif level > self._floor + detection.rise_db - _HYSTERESIS_DB:
            self._loud_until = self._end
        elif self._end - self._loud_until >= detection.silence:
            yield self._close(self._loud_until + detection.padding)

    def _follow_noise(self, level: float) -> None:
        if level < _LOWEST_DB:
            return  # digital silence, of which nothing can be learnt about the noise
        down = level < self._floor
        self._floor += _FALL * (level - self._floor) if down else _CLIMB_DB

    def _learn_noise(self, first: int, stop: int) -> None:
        """What sounds in these frames is noise."""
        levels = self._levels[first - self._first : stop - self._first]
        self._floor = max(self._floor, math.fsum(levels) / len(levels))

    def _close(self, stop: int) -> Turn:
        assert self._start is not None
        turn = Turn(self._start * FRAME, stop * FRAME)
        self._start = None
        self._forget(stop)
        return turn

    def _again(self, frame: int) -> Iterator[Turn]:
        """Look again at the frames from that one on, now that the noise is known."""
        levels = self._levels[frame - self._first :]
        del self._levels[frame - self._first :]
        self._start = None
        self._forget(frame)
        return self._take(levels)

    def _forget(self, before: int) -> None:
        if before > self._first:
            del self._levels[: before - self._first]
            self._first = before

    def _quietest(self, start: int) -> int:
        """The frame in the middle of the quietest stretch of the second half of the open turn."""
        middle = (start + self._end) // 2
        levels = np.array(self._levels[middle - self._first :])
        smooth = np.convolve(levels, np.ones(_SMOOTH_FRAMES), "valid")
        return middle + int(smooth.argmin()) + _SMOOTH_FRAMES // 2


def _levels(samples: Samples) -> list[float]:
    """The level of each whole frame of samples `(S,)`, in decibels of full scale."""
    power = samples.reshape(-1, FRAME).astype(np.float64).var(axis=1)  # an offset is not audible
    levels: list[float] = (10 * np.log10(np.maximum(power, _SILENCE))).tolist()
    return levels


def _frames(milliseconds: float) -> int:
    return round(milliseconds * SAMPLE_RATE / 1000 / FRAME)
