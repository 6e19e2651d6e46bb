"""How far a job is: counts, hours of audio, speed, and what is left."""

import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asr.batch.flow import Clock
from asr.batch.inputs import Place
from asr.batch.stores import Address, Version
from asr.batch.work import Result


@dataclass
class _Kind:
    """Of the files with one suffix."""

    bytes: int = 0
    bytes_done: int = 0
    seconds_done: float = 0.0


@dataclass
class Tally:
    """Of one run of a job; times by a clock that never jumps."""

    total: int = 0
    """Recordings of the job."""
    before: int = 0
    """Those that an earlier run has done."""
    done: int = 0
    silent: int = 0
    """Of those done, the ones without speech."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why recordings failed, and how many."""
    seconds: float = 0.0
    """Of audio that was transcribed."""
    skipped: float = 0.0
    """Seconds of them that an earlier run had read, in recordings that it did not finish."""
    outdated: list[Path] = field(default_factory=list)
    """Transcripts in other formats of recordings that have changed since."""
    kept: int = 0
    """Of those with a transcript, the ones that the journal has on the disk."""
    stopped: bool = False
    """Whether it ended before it was done."""
    abandoned: bool = False
    """Whether threads are still at work that nobody waits for."""
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    """How long each stage worked and waited."""
    unsized: int = 0
    """Recordings in stores that are not yet read and whose size no listing has said."""
    _kinds: dict[str, _Kind] = field(default_factory=lambda: defaultdict(_Kind))
    _unread: int = 0
    """Recordings that are expected and have no result yet."""
    _worked: float = 0.0
    """Seconds of the times that are over in which there were some."""
    _began: float = field(default_factory=time.monotonic)
    """When the first of those came that there are now."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def failed(self) -> int:
        return sum(self.reasons.values())

    @property
    def finished(self) -> int:
        """Recordings with a transcript, by this run or an earlier one."""
        return self.before + self.done

    @property
    def elapsed(self) -> float:
        """Seconds in which this run had something to do: one that is watched waits in between."""
        with self._lock:
            return self._worked + (time.monotonic() - self._began if self._unread else 0.0)

    @property
    def speed(self) -> float:
        """Seconds of audio per second."""
        return (self.seconds - self.skipped) / max(self.elapsed, 1e-9)

    @property
    def expected(self) -> float:
        """Seconds of audio in this run, guessed by the bytes of files and what others held.

        Those of unknown size are guessed to be as long as others.
        """
        kinds = self._kinds.values()
        bytes_done = sum(kind.bytes_done for kind in kinds)
        if not bytes_done:
            return 0.0
        usual = self.seconds / bytes_done
        return self.unsized * self.seconds / self.done + sum(
            kind.seconds_done
            + (kind.bytes - kind.bytes_done)
            * (kind.seconds_done / kind.bytes_done if kind.bytes_done else usual)
            for kind in kinds
        )

    @property
    def left(self) -> float | None:
        """Seconds until it ends; None if nothing can be said yet."""
        if not self.speed:
            return None
        return max(0.0, self.expected - self.seconds) / self.speed

    def expect(self, path: Place, version: Version | None) -> None:
        """A recording is to be done in this run; its version as far as it is known."""
        with self._lock:
            if not self._unread:
                self._began = time.monotonic()
            self._unread += 1
        if _is_unsized(path):
            self.unsized += 1
        self._kinds[path.suffix.lower()].bytes += version[0] if version else 0

    def add(self, result: Result) -> None:
        """A recording that was expected has its result."""
        with self._lock:
            self._unread -= 1
            if not self._unread:
                self._worked += time.monotonic() - self._began
        kind = self._kinds[result.input.path.suffix.lower()]
        size = result.version[0] if result.version else 0
        if _is_unsized(result.input.path):
            self.unsized -= 1
            kind.bytes += size
        if result.transcript is None:
            kind.bytes -= size
            self.reasons[reason(result)] += 1
            return
        kind.bytes_done += size
        kind.seconds_done += result.transcript.duration
        self.seconds += result.transcript.duration
        self.skipped += result.skipped
        self.done += 1
        self.silent += result.transcript.no_speech


def _is_unsized(path: Place) -> bool:
    return isinstance(path, Address) and path.known is None


def reason(result: Result) -> str:
    """Why a recording failed, in words that like failures share: no path, numbers or advice."""
    sentence = str(result.error).replace(str(result.input.path), "").strip()
    sentence = re.sub("^.*(?= cannot be written )", "a transcript", sentence)
    return re.sub(r"\d[\d.,]*", "N", re.split(r": |; ", sentence)[0])
