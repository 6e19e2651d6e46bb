"""One live session: samples in, what is said in them out, while it is said and after each turn.

The open turn is read again whenever 0.4 s more have come: not all of it, but what is not settled,
with some seconds before it. All of it is read once more when a pause begins: if the pause lasts,
that reading is the last one, and the final text is there as soon as the pause is known.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from asr.audio import SAMPLE_RATE
from asr.transcript import Transcript
from service.errors import ApiError, ErrorDetail
from service.live.held import Held, Samples
from service.live.settling import Settling, Shown
from service.live.turns import Detection, Turn, Turns
from service.monitoring.metrics import Metrics

_STEP = int(0.4 * SAMPLE_RATE)
_CONTEXT_S = 4.0
_MOST_WAITING = 4  # turns that are closed and not read


@dataclass(frozen=True)
class Started:
    """Somebody speaks: a turn is open, and from now on it has an id."""

    item: str
    start: int
    """Sample of the session, as all of these."""


@dataclass(frozen=True)
class Heard:
    """More is settled of a turn, or what is shown behind that has changed."""

    item: str
    shown: Shown


@dataclass(frozen=True)
class Stopped:
    """The turn has ended, and its last reading follows."""

    item: str
    stop: int
    previous: str | None
    """The item before it."""


@dataclass(frozen=True)
class Completed:
    """The text of a turn: that of its samples alone, whatever was settled before."""

    item: str
    turn: Turn
    transcript: Transcript


@dataclass(frozen=True)
class Failed:
    """A turn cannot be read."""

    item: str
    error: ErrorDetail


Event: TypeAlias = Started | Heard | Stopped | Completed | Failed
Read: TypeAlias = Callable[[Samples, bool], Coroutine[Any, Any, Transcript]]
"""Gives the transcript of samples `(S,)`, which are, or are not, a whole turn."""


@dataclass
class _Open:
    """A turn that is being said, or waits for its last reading."""

    start: int
    item: str = field(default_factory=lambda: f"item_{secrets.token_hex(12)}")
    settling: Settling = field(default_factory=Settling)
    is_told: bool = False
    """Whether it was told that it started: noise is not."""
    closed: Turn | None = None
    by_pause: bool = True
    known: float = 0.0
    """When it was known that it has ended, by time.monotonic."""
    looked: Turn | None = None
    """The stretch of the last reading."""
    transcript: Transcript | None = None
    """What that gave; None if it failed."""
    tentative: str = ""
    """What is shown behind what is settled."""

    @property
    def settled_until(self) -> int:
        """The sample at which the last settled word ends: none is before the turn's start."""
        words = self.settling.words
        return self.start + (int(words[-1].end * SAMPLE_RATE) if words else 0)

    @property
    def context(self) -> int:
        """The sample from which on it is read while it is said."""
        return max(self.start, self.settled_until - int(_CONTEXT_S * SAMPLE_RATE))


class Session:
    """A stream of samples, and what is said in it.

    `add`, `commit` and `clear` are for one task, `run` for another.

    Args:
        detection: how turns are found; None if they are closed by hand.
        longest_s: seconds of the longest turn.
        read: reads samples.
        emit: takes what happens, in order; may wait until there is room.
    """

    def __init__(
        self,
        detection: Detection | None,
        longest_s: float,
        read: Read,
        emit: Callable[[Event], Awaitable[None]],
        metrics: Metrics,
    ) -> None:
        self._turns = Turns(detection, longest_s)
        self._read = read
        self._emit = emit
        self._metrics = metrics
        self._held = Held()
        self._open: _Open | None = None
        self._closed: deque[_Open] = deque()
        self._previous: str | None = None
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def detection(self) -> Detection | None:
        """How turns are found."""
        return self._turns.detection

    @detection.setter
    def detection(self, value: Detection | None) -> None:
        self._turns.detection = value

    async def add(self, samples: Samples) -> None:
        """Take the next samples `(S,)`; waits while too many turns are not read."""
        await self._room.wait()
        self._held.add(samples)
        self._close(self._turns.add(samples))

    def commit(self) -> bool:
        """Close the open turn now; whether there was one."""
        turn = self._turns.commit()
        if turn is not None:
            self._close([turn], by_pause=False)
        return turn is not None

    def clear(self) -> None:
        """Forget the open turn."""
        self._turns.clear()
        self._open = None
        self._forget()
        self._changed.set()

    async def finish(self) -> None:
        """Close the open turn, and return when all turns are read."""
        self.commit()
        while self._closed:
            self._idle.clear()
            await self._idle.wait()

    async def run(self) -> None:
        """Read turns until cancelled."""
        while True:
            self._changed.clear()
            if self._closed:
                await self._complete(self._closed[0])
                self._closed.popleft()
                self._free()
            elif (stretch := self._due()) is not None and self._open is not None:
                await self._look(self._open, stretch)
            else:
                await self._changed.wait()

    def _close(self, turns: list[Turn], by_pause: bool = True) -> None:
        for turn in turns:
            opened = self._now_open(turn.start)
            opened.closed, opened.by_pause, opened.known = turn, by_pause, time.monotonic()
            self._closed.append(opened)
            self._open = None
        if self._turns.start is not None:
            self._open = self._now_open(self._turns.start)
        if len(self._closed) >= _MOST_WAITING:
            self._room.clear()
        self._forget()
        self._changed.set()

    def _now_open(self, start: int) -> _Open:
        return self._open or _Open(start)

    def _free(self) -> None:
        self._forget()
        self._idle.set()
        if len(self._closed) < _MOST_WAITING:
            self._room.set()

    def _forget(self) -> None:
        """Drop the samples that no turn needs."""
        starts = [opened.start for opened in self._closed]
        self._held.forget(min([*starts, self._turns.needed]))

    def _due(self) -> Turn | None:
        """The stretch of the open turn that should be read now."""
        opened = self._open
        if opened is None:
            return None
        read = opened.start if opened.looked is None else opened.looked.stop
        pause = self._turns.pause
        if pause is not None:
            return Turn(opened.start, pause) if read != pause else None
        stop = self._turns.stop
        return Turn(opened.context, stop) if stop - read >= _STEP else None

    async def _look(self, opened: _Open, stretch: Turn) -> None:
        """Read the open turn, unless it ends meanwhile elsewhere than where this reading does."""
        reading = asyncio.create_task(self._reading(stretch, False))
        try:
            while not reading.done():
                if opened is not self._open and opened.closed != stretch:
                    return
                self._changed.clear()
                changed = asyncio.create_task(self._changed.wait())
                try:
                    await asyncio.wait({reading, changed}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
            transcript = reading.result()
        except ApiError as error:  # the last reading tells the client
            opened.looked, opened.transcript = stretch, None
            self._metrics.live_looks.labels(error.detail.code or "").inc()
            return
        finally:
            reading.cancel()
        self._metrics.live_looks.labels("done").inc()
        opened.looked, opened.transcript = stretch, transcript
        await self._show(opened, stretch, transcript)
        if opened is self._open:
            self._hear(opened, stretch, transcript)

    async def _show(self, opened: _Open, stretch: Turn, transcript: Transcript) -> None:
        if transcript.no_speech and not opened.is_told:
            return
        await self._tell(opened)
        offset = (stretch.start - opened.start) / SAMPLE_RATE
        words = [word.later(offset) for word in transcript.words]
        await self._say(opened, opened.settling.read(words))

    async def _say(self, opened: _Open, shown: Shown) -> None:
        if shown.settled or shown.tentative != opened.tentative:
            opened.tentative = shown.tentative
            await self._emit(Heard(opened.item, shown))

    def _hear(self, opened: _Open, stretch: Turn, transcript: Transcript) -> None:
        """Let the model's own blanks decide whether this is speech, and whether it goes on."""
        if transcript.words:
            end = stretch.start + int(transcript.words[-1].end * SAMPLE_RATE)
        elif opened.is_told:
            end = opened.settled_until
        else:
            end = None
        turns, is_noise = self._turns.heard(stretch.stop, end)
        if is_noise:
            self._open = None
        if turns or is_noise:
            self._close(turns)

    async def _complete(self, opened: _Open) -> None:
        turn = opened.closed
        assert turn is not None
        if opened.is_told or not opened.by_pause:
            await self._stop(opened, turn)
        try:
            if opened.looked == turn and opened.transcript is not None:
                transcript = opened.transcript
            else:
                transcript = await self._reading(turn, True)
        except ApiError as error:
            await self._stop(opened, turn)
            await self._emit(Failed(opened.item, error.detail))
            return
        if transcript.no_speech and not opened.is_told:
            return  # it was noise
        await self._stop(opened, turn)
        if (shown := opened.settling.end(transcript.words)) is not None:
            await self._say(opened, shown)
        await self._emit(Completed(opened.item, turn, transcript))
        self._metrics.audio.inc(turn.seconds)
        self._metrics.live_final.observe(time.monotonic() - opened.known)

    async def _tell(self, opened: _Open) -> None:
        if not opened.is_told:
            opened.is_told = True
            await self._emit(Started(opened.item, opened.start))

    async def _stop(self, opened: _Open, turn: Turn) -> None:
        if self._previous != opened.item:
            await self._tell(opened)
            previous, self._previous = self._previous, opened.item
            await self._emit(Stopped(opened.item, turn.stop, previous))

    async def _reading(self, turn: Turn, is_whole: bool) -> Transcript:
        return await self._read(self._held.cut(turn.start, turn.stop), is_whole)
