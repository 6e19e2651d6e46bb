"""Audio decoding, engine, search and writing side by side, each on files that the last one is done
with: results come in the order of finishing, and what waits between the stages is bounded. A long
recording passes through engine and search by itself, window by window, and one in a store is
fetched first."""

import atexit
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from asr.audio import Limits
from asr.batch.decoders import Decoder, Long
from asr.batch.flow import Clock, Link
from asr.batch.inputs import Input, version_of
from asr.batch.long_recordings import Heard, Keep, LongRecordings
from asr.batch.spool import Spool
from asr.batch.stores import Address
from asr.batch.work import Result, Work
from asr.errors import AsrError
from asr.machine import usable_cores
from asr.options import Selection
from asr.transcript import Transcript

if TYPE_CHECKING:
    from asr.options import Options
    from asr.runtime import Recognizer

_FETCHERS = 16
"""Files that are fetched from stores at a time: each waits for the network. Without stores one
thread lists the files."""
_LANES = 2
"""Batches in the engine, and in the search, at a time: while one ends, the other uses the cores."""
_WRITERS = 2
"""Files written at a time: each waits for the disk."""
_CPU_DECODERS = 4
_CORES_PER_DECODER = 4
"""On a CPU decoding takes a small part of the work, and each process holds a recording: so there is
one for each core up to four, and then for each fourth core."""
_CPU_BATCH_S = 60.0
"""For each thread of the engine on a CPU, which gains little from larger batches."""
_HELD_BATCHES = 3
"""Batches' worth of recordings that may wait for a stage: enough to choose some of like length."""
_HELD_RESULTS = 100.0
_PATIENCE_S = 1.0
_AT_EXIT_S = 20.0
"""Longer than a window of minutes takes."""


_LEFT: list[threading.Thread] = []
"""Threads of pipelines that were ended before they were over."""


@atexit.register
def _see_off() -> None:
    """Waits for what engines and searches are just at: a thread that comes back from compiled code
    once Python has begun to end would abort the process."""
    patience = time.monotonic() + _AT_EXIT_S
    for thread in _LEFT:
        thread.join(max(0.0, patience - time.monotonic()))


Finish: TypeAlias = Callable[[Result], Result]


def as_it_is(result: Result) -> Result:
    """Nothing is written."""
    return result


class Pipeline:
    """Transcribes inputs; used as a context, which starts and ends its threads and processes.

    Args:
        options: of `recognizer.options`.
        finish: called for each result in threads of its own; what it raises ends the job.
        jobs: the most decoding processes.
        keep: without it, a job that is stopped begins a long recording anew.
        spool: folder for what is fetched from stores (`Spool`).
        heard: called, in threads of its own, with the transcript of what was said so far in a long
            recording, each time that more is known; perhaps again from its start.
    """

    def __init__(
        self,
        recognizer: "Recognizer",
        inputs: Iterable[Input],
        options: "Options",
        limits: Limits,
        selection: Selection,
        finish: Finish = as_it_is,
        jobs: int | None = None,
        keep: Keep | None = None,
        spool: Path | None = None,
        heard: Heard | None = None,
    ) -> None:
        # Decoding processes need not load them.
        from asr.runtime.windows import CONTEXT_SECONDS, WINDOW_SECONDS

        self._recognizer, self._options, self._finish = recognizer, options, finish
        self._start, self._spool = selection.start, Spool(spool)
        added = WINDOW_SECONDS - 2 * CONTEXT_SECONDS
        self._long_recordings = LongRecordings(
            recognizer, options, selection.start, added, keep, heard
        )
        self._source = enumerate(inputs)
        self._next = threading.Lock()
        self._failure: BaseException | None = None
        self._stopped = False
        self._ended = False
        self._is_left = False
        """Whether it was ended before it was over."""
        count = jobs or recognizer.threads or usable_cores()
        batch = recognizer.engine.batch_seconds
        if recognizer.device == "cpu":
            batch = min(batch, _CPU_BATCH_S * count)
            count = min(count, max(_CPU_DECODERS, count // _CORES_PER_DECODER))
        self._decoders, self._readers = (
            [Decoder(limits, selection, WINDOW_SECONDS) for _ in range(several)]
            for several in (count, _LANES)
        )
        held = _HELD_BATCHES * batch
        self._fetched = Link[Work](_one, _FETCHERS)
        self._decoded = Link[Work](_cost, held, batch)
        self._long = Link[Work](_one, _HELD_RESULTS)
        self._lattices = Link[Work](_cost, held, batch)
        self._read = Link[Work](_one, _HELD_RESULTS)
        self._results = Link[tuple[int, Result]](_one, _HELD_RESULTS)
        self.clocks = {
            "fetching": Clock(1),
            "decoding": Clock(count),
            "engine": Clock(_LANES),
            "search": Clock(_LANES),
            "long recordings": Clock(_LANES),
            "writing": Clock(_WRITERS),
        }
        """How long each stage worked and waited."""
        self._threads = [
            self._fetcher(),
            *(
                self._thread([self._decoded, self._long, self._read], self._decode, decoder)
                for decoder in self._decoders
            ),
            *(self._thread([self._read], self._read_long, reader) for reader in self._readers),
            *(self._thread([self._lattices, self._read], self._run_engine) for _ in range(_LANES)),
            *(self._thread([self._read], self._search) for _ in range(_LANES)),
            *(self._thread([self._results], self._write) for _ in range(_WRITERS)),
        ]

    def __enter__(self) -> Self:
        # A generator that nobody closes is closed when Python ends, where the threads stand still
        # with whatever lock they hold.
        atexit.register(self.end)
        for thread in tuple(self._threads):  # the first may add others
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def take(self, patience_s: float | None = None) -> list[tuple[int, Result]]:
        """The next result with its input's place; none at the end, or when patience runs out.

        Raises:
            Exception: what a stage raised.
        """
        taken = self._results.take(patience_s)
        if self._failure is not None:
            raise self._failure
        return taken

    @property
    def is_over(self) -> bool:
        """Whether all results have been taken; not before `take` has raised what a stage raised."""
        return self._failure is None and self._results.is_over

    def stop(self) -> None:
        """Reads no further recording; what is decoded is still transcribed."""
        self._stopped = True
        self._fetched.end()
        self._spool.end()
        for decoder in (*self._decoders, *self._readers):
            decoder.end()

    def end(self) -> None:
        """Ends everything; what an engine or a search is just at is not waited for."""
        if self._ended:
            return
        self._ended, self._is_left = True, not self.is_over
        self.stop()
        for link in (self._decoded, self._long, self._lattices, self._read, self._results):
            link.end()
        if self._is_left:
            _LEFT[:] = [thread for thread in (*_LEFT, *self._threads) if thread.is_alive()]
        atexit.unregister(self.end)

    @property
    def is_at_work(self) -> bool:
        """Whether, after the end, an engine or a search is still at something."""
        if not self._is_left:  # threads that still end their processes are no harm
            return False
        patience = time.monotonic() + _PATIENCE_S
        for thread in self._threads:
            thread.join(max(0.0, patience - time.monotonic()))
        return any(thread.is_alive() for thread in self._threads)

    def _thread(
        self, targets: Sequence[Link[Any]], run: Callable[..., None], *arguments: object
    ) -> threading.Thread:
        """A thread that gives to some links, and tells them when it has ended."""
        for link in targets:
            link.begin()

        def guarded() -> None:
            try:
                run(*arguments)
            except BaseException as error:
                self._failure = self._failure or error
                self._results.end()
            finally:
                for link in targets:
                    link.done()

        return threading.Thread(target=guarded, daemon=True)

    def _fetcher(self) -> threading.Thread:
        return self._thread([self._fetched, self._read], self._fetch)

    def _fetch_together(self, clock: Clock) -> None:
        """Has more threads fetch, once the first of them, which is alone, has met a store."""
        if clock.threads == 1:
            clock.threads = _FETCHERS
            more = [self._fetcher() for _ in range(_FETCHERS - 1)]
            self._threads += more
            for thread in more:
                thread.start()

    def _fetch(self) -> None:
        clock = self.clocks["fetching"]
        with suppress(EOFError):  # the job has ended
            while (work := self._next_input(clock)) is not None:
                if isinstance(work.input.path, Address):
                    self._fetch_together(clock)
                with clock.counting("busy"):
                    work = self._on_disk(work)
                with clock.counting("blocked"):
                    (self._read if work.content else self._fetched).give(work)

    def _on_disk(self, work: Work) -> Work:
        """The recording as a file, which lies there already unless it is in a store."""
        item = work.input
        if item.problem is not None:
            return work.with_(item.problem)
        if not isinstance(item.path, Address):
            return work
        found = self._spool.fetch(item.path)
        if isinstance(found, str):
            return work.with_(found)
        return replace(work, file=found[0], version=found[1])

    def _decode(self, decoder: Decoder) -> None:
        clock = self.clocks["decoding"]
        with _until_stopped(decoder):
            while True:
                with clock.counting("starved"):
                    taken = self._fetched.take()
                if not taken:
                    return
                with clock.counting("busy"):
                    work = _decoded(taken[0], decoder)
                if not isinstance(work.content, Long):
                    self._drop(work)
                with clock.counting("blocked"):
                    self._after_decoding(work).give(work)

    def _drop(self, work: Work) -> None:
        """The recording has been read."""
        if work.file is not None:
            self._spool.drop(work.file)

    def _after_decoding(self, work: Work) -> Link[Work]:
        if isinstance(work.content, str):
            return self._read
        return self._long if isinstance(work.content, Long) else self._decoded

    def _read_long(self, reader: Decoder) -> None:
        with _until_stopped(reader):
            self._stage("long recordings", self._long, self._read, partial(self._long_one, reader))

    def _long_one(self, reader: Decoder, batch: Sequence[Work]) -> list[Work]:
        (work,) = batch
        done = self._long_recordings.read(reader, work)
        self._drop(work)
        return [done]

    def _next_input(self, clock: Clock) -> Work | None:
        with clock.counting("starved"), self._next:
            place, item = (-1, None) if self._stopped else next(self._source, (-1, None))
        return None if item is None else Work(place, item, None, 0.0, "")

    def _run_engine(self) -> None:
        self._stage("engine", self._decoded, self._lattices, self._engine)

    def _search(self) -> None:
        self._stage("search", self._lattices, self._read, self._transcripts)

    def _stage(
        self,
        name: str,
        source: Link[Work],
        target: Link[Work],
        run: Callable[[Sequence[Work]], Iterable[Work]],
    ) -> None:
        clock = self.clocks[name]
        while True:
            with clock.counting("starved"):
                batch = source.take()
            if not batch:
                return
            with clock.counting("busy"):
                made = list(_one_by_one(run, batch))
            with clock.counting("blocked"):
                for work in made:
                    (self._read if isinstance(work.content, str) else target).give(work)

    def _engine(self, batch: Sequence[Work]) -> list[Work]:
        audios = [audio for work in batch for audio in work.channels]
        lattices = iter(self._recognizer.lattices(audios))
        return [work.with_(tuple(next(lattices) for _ in work.channels)) for work in batch]

    def _transcripts(self, batch: Sequence[Work]) -> list[Work]:
        lattices: list[Any] = [lattice for work in batch for lattice in work.channels]
        seconds = [work.seconds / len(work.channels) for work in batch for _ in work.channels]
        found = iter(self._recognizer.read(lattices, seconds, self._options))
        return [
            work.with_(Transcript.together([next(found) for _ in work.channels], self._start))
            for work in batch
        ]

    def _write(self) -> None:
        clock = self.clocks["writing"]
        while True:
            with clock.counting("starved"):
                taken = self._read.take()
            if not taken:
                return
            (work,) = taken
            with clock.counting("busy"):
                result = self._finish(work.result)
                if work.kept is not None:
                    shutil.rmtree(work.kept, ignore_errors=True)
            with clock.counting("blocked"):
                self._results.give((work.place, result))


@contextmanager
def _until_stopped(decoder: Decoder) -> Iterator[None]:
    """A block that uses a decoder, and ends without an error where the job is stopped."""
    try:
        yield
    except EOFError:
        pass
    finally:
        decoder.stop()


def _cost(work: Work) -> float:
    return work.cost


def _one(_: object) -> float:
    return 1.0


def _decoded(work: Work, decoder: Decoder) -> Work:
    """Reads the recording."""
    if work.file is None:
        work = replace(work, version=version_of(work.input))
    heard = decoder.read(work.input, work.file)
    if isinstance(heard, str | Long):
        return work.with_(heard)
    if (change := work.change) is not None:
        return work.with_(change)
    return replace(work, content=heard, seconds=sum(audio.duration for audio in heard))


def _one_by_one(
    run: Callable[[Sequence[Work]], Iterable[Work]], batch: Sequence[Work]
) -> Iterator[Work]:
    """What `run` makes of a batch; if it fails, of each recording, or the reason why nothing."""
    try:
        yield from run(batch)
    except (AsrError, EOFError):  # nothing of one recording: the job cannot go on, or is stopped
        raise
    except Exception as error:
        if len(batch) > 1:
            for work in batch:
                yield from _one_by_one(run, [work])
        else:
            (work,) = batch
            reason = str(error).strip() or type(error).__name__
            yield work.with_(f"{work.input.path} fails in the model ({reason}): please report it")


def in_order(pipeline: Pipeline) -> Iterator[Result]:
    """The results in the order of their inputs."""
    waiting: dict[int, Result] = {}
    place = 0
    while taken := pipeline.take():
        waiting.update(taken)
        while place in waiting:
            yield waiting.pop(place)
            place += 1
