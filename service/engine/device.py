"""The process that holds the device: it runs the model and searches for the words.

It keeps the log-probabilities of a recording's windows until all of them are there. All its
requests come from `service.engine.scheduler`.
"""

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
from asr.machine import usable_cores
from asr.runtime import Recognizer
from asr.runtime.kept import completed
from asr.runtime.reader import Partial
from asr.transcript import Segment, Transcript
from service.engine.decode_pool import SAMPLE_BYTES
from service.engine.tasks import How, KnownText
from service.engine.worker import Answer, Handler, Memory

MOST_LANES = 8
DEVICE = "service.engine.device:device"
"""The target of the process that holds the device."""
_CPU_BATCH_S = 60.0
"""On a CPU a larger batch gains little, and a short clip waits for the batch before it."""
_WARM_S = (3.0, 30.0)


@dataclass(frozen=True)
class Load:
    """Load a bundle and warm it up; the answer is Ready. Errors are those of `Recognizer.load`."""

    bundle: Path | None
    device: str


@dataclass(frozen=True)
class Ready:
    """The model is warm."""

    recognizer: Recognizer
    """Without an engine: it describes the bundle and checks options."""
    lanes: int
    """Batches that the process takes at a time."""
    batch_seconds: float
    """Padded seconds of audio that a batch may hold."""
    model_factor: float
    """Seconds that the warm model takes for a second of audio, on one lane."""
    text_factor: float
    """Seconds that the search for words takes for a second of audio."""

    @property
    def throughput(self) -> float:
        """Seconds of audio per second, as the slower stage allows, before it is measured."""
        return 1 / max(self.model_factor / self.lanes, self.text_factor)


@dataclass(frozen=True)
class Piece:
    """Window `index` of a task: samples `[start, stop)` of the memory that comes with it."""

    task: int
    index: int
    start: int
    stop: int
    kept: Path | None = None
    """Prefix of files in which log-probabilities are kept, and looked for before they are
    computed."""


@dataclass(frozen=True)
class RunModel:
    """Run the model on pieces and keep the log-probabilities; forget those of finished tasks."""

    pieces: tuple[Piece, ...]
    finished: tuple[int, ...]


@dataclass(frozen=True)
class Search:
    """Search for the words of tasks, or for their times; the answer is their transcripts."""

    tasks: tuple[tuple[int, int], ...]
    """Id and number of samples of each."""
    options: How


@dataclass(frozen=True)
class SearchOn:
    """Go on searching for the words of one task in its next windows; the answer is the segments
    that are known with them."""

    task: int
    first: int
    stop: int
    """Windows `[first, stop)`."""
    samples: int
    """Of the whole recording."""
    is_last: bool
    options: dict[str, Any]


@dataclass(frozen=True)
class RemoteEngine:
    """Stands for an engine that runs in another process."""

    device: str
    batch_seconds: float

    def __call__(self, waves: Sequence[Any]) -> Any:
        raise NotImplementedError("the engine runs in the device process")


def device(_: None) -> Handler:
    """In a worker: answers Load, then RunModel, Search and SearchOn from several threads."""
    return _Device()


class _Device:
    def __init__(self) -> None:
        self._rows: defaultdict[int, dict[int, Any]] = defaultdict(dict)
        self._partial: dict[int, Partial] = {}
        self._lock = threading.Lock()

    def __call__(
        self, message: Load | RunModel | Search | SearchOn, memory: Sequence[Memory]
    ) -> Answer:
        match message:
            case Load():
                return self._load(message), ()
            case RunModel():
                self._run(message, memory)
                return None, ()
            case Search():
                return self._search(message), ()
            case SearchOn():
                return self._search_on(message), ()

    def _load(self, message: Load) -> Ready:
        self._recognizer = recognizer = Recognizer.load(message.bundle, message.device)
        device, batch_seconds = recognizer.device, recognizer.engine.batch_seconds
        if device == "cpu":
            batch_seconds = _CPU_BATCH_S
        model_factor, text_factor = self._warm()
        return Ready(
            recognizer=replace(recognizer, engine=RemoteEngine(device, batch_seconds)),
            lanes=max(2, min(MOST_LANES, usable_cores())) if device == "cpu" else 1,
            batch_seconds=batch_seconds,
            model_factor=model_factor,
            text_factor=text_factor,
        )

    def _warm(self) -> tuple[float, float]:
        """Run a real clip, so that no client waits until kernels and arenas are set up.

        Returns:
            Seconds that the model and the search then take for a second of audio.
        """
        clip = load(next(iter(sorted(shipped("samples").glob("*.flac"))))).samples
        options = self._recognizer.options()
        for seconds in (*_WARM_S, *_WARM_S):  # the first round is slow
            wave = np.resize(clip, int(seconds * SAMPLE_RATE))
            started = time.perf_counter()
            rows = self._recognizer.run([wave])
            model_done = time.perf_counter()
            self._recognizer.read(rows, [seconds], options)
            ended = time.perf_counter()
        if options.decoder == "greedy":  # hot words need the beam, which may have to be compiled
            beam = self._recognizer.options(decoder="beam")
            self._recognizer.read(self._recognizer.run([clip[:SAMPLE_RATE]]), [1.0], beam)
        return (model_done - started) / seconds, (ended - model_done) / seconds

    def _run(self, message: RunModel, memory: Sequence[Memory]) -> None:
        pieces = message.pieces
        with self._lock:  # first: nobody says it again where the model fails on the pieces
            for task in message.finished:
                self._rows.pop(task, None)
                self._partial.pop(task, None)
        waves = [_samples(piece, shared) for piece, shared in zip(pieces, memory, strict=True)]
        kept = [
            None if piece.kept is None else self._recognizer.kept(piece.kept, piece.index)
            for piece in pieces
        ]
        rows = completed(self._recognizer.run, waves, kept)
        with self._lock:
            for piece, row in zip(message.pieces, rows, strict=True):
                self._rows[piece.task][piece.index] = row

    def _search(self, message: Search) -> list[Transcript]:
        recognizer = self._recognizer
        with self._lock:
            rows = [self._rows[task] for task, _ in message.tasks]
        lattices = [
            recognizer.join(
                recognizer.windows(samples), [windows[index] for index in sorted(windows)]
            )
            for (_, samples), windows in zip(message.tasks, rows, strict=True)
        ]
        seconds = [samples / SAMPLE_RATE for _, samples in message.tasks]
        if isinstance(message.options, KnownText):
            text = message.options.text
            return [
                recognizer.align_lattice(lattice, duration, text)
                for lattice, duration in zip(lattices, seconds, strict=True)
            ]
        return recognizer.read(lattices, seconds, recognizer.options(**message.options))

    def _search_on(self, message: SearchOn) -> list[Segment]:
        recognizer = self._recognizer
        indices = range(message.first, message.stop)
        with self._lock:
            rows = [self._rows[message.task].pop(index) for index in indices]
            if message.first == 0:
                options = recognizer.options(**message.options)
                self._partial[message.task] = recognizer.partial(options)
            partial = self._partial[message.task]
        windows = recognizer.windows(message.samples)[message.first : message.stop]
        segments = partial.add(
            [recognizer.join([window], [row]) for window, row in zip(windows, rows, strict=True)]
        )
        if message.is_last:
            segments += partial.end(message.samples / SAMPLE_RATE)
        return segments


def _samples(piece: Piece, held: Memory) -> Any:
    return np.frombuffer(
        held.read(SAMPLE_BYTES * piece.start, SAMPLE_BYTES * piece.stop), np.float32
    )
