"""The process that holds the device: it runs the model and finds the words.

It keeps what the model said of a recording's windows until all of them are there. Everything that
it is asked comes from `service.scheduler`.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asr.audio import SAMPLE_RATE, load
from asr.bundle import shipped
from asr.runtime import Recognizer
from asr.transcript import Transcript
from service.decoding import SAMPLE_BYTES
from service.workers import Answer, Handler, Memory

MOST_LANES = 8
TARGET = "service.device:device"
_CPU_BATCH_S = 60.0
"""On a CPU a batch gains little by its size, and a short clip waits for the one before it."""
_WARM_S = (3.0, 30.0)


@dataclass(frozen=True)
class Load:
    """Load a bundle and warm it up; answered by Ready. Errors are those of `Recognizer.load`."""

    bundle: Path | None
    device: str


@dataclass(frozen=True)
class Ready:
    """The model is warm."""

    recognizer: Recognizer
    """Without an engine: it tells of the bundle, and checks options."""
    lanes: int
    """Batches that it takes at a time."""
    batch_seconds: float
    """Padded seconds of sound that a batch may hold."""
    costs: dict[str, list[tuple[float, float]]]
    """Stage -> seconds of sound, and what they took when warm."""


@dataclass(frozen=True)
class Piece:
    """Samples `[start, stop)` of the memory that comes with it: window `index` of a job."""

    job: int
    index: int
    start: int
    stop: int


@dataclass(frozen=True)
class Run:
    """Run the model on pieces, and keep what it says; forget the jobs that are gone."""

    pieces: tuple[Piece, ...]
    gone: tuple[int, ...]


@dataclass(frozen=True)
class Read:
    """Find the words of jobs, each of so many samples; answered by their transcripts."""

    jobs: tuple[tuple[int, int], ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Elsewhere:
    """Stands for an engine that runs in another process."""

    device: str
    batch_seconds: float

    def __call__(self, waves: Sequence[Any]) -> Any:
        raise NotImplementedError("the engine runs in the device's process")


def device(_: None) -> Handler:
    """In a worker: answers Load, then Run and Read from several threads."""
    return _Device()


class _Device:
    def __init__(self) -> None:
        self._rows: defaultdict[int, dict[int, Any]] = defaultdict(dict)
        self._lock = threading.Lock()

    def __call__(self, message: Load | Run | Read, memory: Sequence[Memory]) -> Answer:
        match message:
            case Load():
                return self._load(message), ()
            case Run():
                self._run(message, memory)
                return None, ()
            case Read():
                return self._read(message), ()

    def _load(self, message: Load) -> Ready:
        self._recognizer = recognizer = Recognizer.load(message.bundle, message.device)
        device, batch_seconds = recognizer.device, recognizer.engine.batch_seconds
        if device == "cpu":
            batch_seconds = _CPU_BATCH_S
        return Ready(
            recognizer=replace(recognizer, engine=Elsewhere(device, batch_seconds)),
            lanes=max(2, min(MOST_LANES, _cores())) if device == "cpu" else 1,
            batch_seconds=batch_seconds,
            costs=self._warm(),
        )

    def _warm(self) -> dict[str, list[tuple[float, float]]]:
        """Run on a real clip, so that no client waits for kernels and arenas to be set up."""
        clip = load(next(iter(sorted(shipped("samples").glob("*.flac"))))).samples
        costs: dict[str, list[tuple[float, float]]] = {"model": [], "text": []}
        options = self._recognizer.options()
        for seconds in (*_WARM_S, *_WARM_S):  # the first time round is slow
            wave = np.resize(clip, int(seconds * SAMPLE_RATE))
            began = time.perf_counter()
            rows = self._recognizer.run([wave])
            ran = time.perf_counter()
            self._recognizer.read(rows, [seconds], options)
            costs["model"].append((seconds, ran - began))
            costs["text"].append((seconds, time.perf_counter() - ran))
        return {stage: found[len(_WARM_S) :] for stage, found in costs.items()}

    def _run(self, message: Run, memory: Sequence[Memory]) -> None:
        waves = [
            np.frombuffer(
                held.read(SAMPLE_BYTES * piece.start, SAMPLE_BYTES * piece.stop), np.float32
            )
            for piece, held in zip(message.pieces, memory, strict=True)
        ]
        rows = self._recognizer.run(waves)
        with self._lock:
            for piece, row in zip(message.pieces, rows, strict=True):
                self._rows[piece.job][piece.index] = row
            for job in message.gone:
                self._rows.pop(job, None)

    def _read(self, message: Read) -> list[Transcript]:
        recognizer = self._recognizer
        with self._lock:
            rows = [self._rows[job] for job, _ in message.jobs]
        lattices = [
            recognizer.join(recognizer.windows(samples), [found[at] for at in sorted(found)])
            for (_, samples), found in zip(message.jobs, rows, strict=True)
        ]
        seconds = [samples / SAMPLE_RATE for _, samples in message.jobs]
        return recognizer.read(lattices, seconds, recognizer.options(**message.options))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
