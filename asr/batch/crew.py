"""A folder job on a Ray cluster: workers transcribe; the journal and all writing stay here."""

import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import ray
from ray.exceptions import RayError, RayTaskError

from asr.batch.cluster import Cluster
from asr.batch.flow import Clock
from asr.batch.folder_job import FolderJob
from asr.batch.inputs import Input, version_of
from asr.batch.pipeline import Finish
from asr.batch.work import Result
from asr.batch.worker import Worker
from asr.errors import AsrError, BadOption, in_brief

_TRIES = 3
"""A worker may also be ended by others: a recording counts as faulty after it has ended so many,
all but the first of them alone."""
_AHEAD = 256
_AHEAD_BYTES = 32 * 2**20
_LEAST_AHEAD = 2
"""A worker holds so many recordings, or bytes of them: enough to choose some of like length, and so
few that none waits while another worker is idle."""
_KNOWN = 10_000
"""Recordings that are listed ahead."""
_WRITERS = 8
"""Results written at a time: each waits for the disk."""
_PATIENCE_S = 2.0


@dataclass(frozen=True)
class _Task:
    place: int
    item: Input
    ended: int = 0
    """How many workers have ended with it."""

    @property
    def bytes(self) -> int:
        known = self.item.known
        return known[0] if known else 0


@dataclass
class _Hand:
    """A worker as it is seen from here."""

    actor: Any
    is_ready: bool = False
    given: int = 0
    held: dict[int, _Task] = field(default_factory=dict)
    """What it has not yet done, by the number of what it was given before."""

    def has_room(self, most: int) -> bool:
        count = len(self.held)
        held = sum(task.bytes for task in self.held.values())
        return count < most and (count < _LEAST_AHEAD or held < _AHEAD_BYTES)

    def give(self, task: _Task) -> Input:
        self.held[self.given] = task
        self.given += 1
        return task.item


class Crew:
    """The workers of a cluster, in the place of a `Pipeline`; the first input starts them.

    A worker that ends is replaced, and what it held is tried again, each recording alone: the one
    that ends workers harms no other, and fails.
    """

    clocks: Mapping[str, Clock] = {}
    is_at_work = False

    def __init__(
        self, cluster: Cluster, job: FolderJob, inputs: Iterable[Input], finish: Finish
    ) -> None:
        self._cluster, self._job, self._finish = cluster, job, finish
        self._inputs = enumerate(inputs)
        self._waiting: deque[_Task] = deque()
        self._suspects: deque[_Task] = deque()
        self._hands: dict[Any, _Hand] = {}
        """By the call that each is at."""
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._is_listed = self._stopped = False
        self._barren = 0
        """Workers in a row that have ended before they were ready."""
        self._left = ExitStack()

    def __enter__(self) -> Self:
        self._writers = self._left.enter_context(ThreadPoolExecutor(_WRITERS))
        threading.Thread(target=self._list, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def take(self, patience_s: float | None = None) -> list[tuple[int, Result]]:
        """Some results, with the places of their inputs; none when patience runs out.

        Raises:
            BadOption: as of `Cluster`, or a worker does not see a recording.
            AsrError: workers do not start.
            Exception: what listing or writing raised.
        """
        if self._failure is not None:
            raise self._failure
        if not (self._hands or self._begin(patience_s)):
            return []
        found, _ = ray.wait(list(self._hands), timeout=patience_s)
        if found:  # and what else has come
            found, _ = ray.wait(list(self._hands), num_returns=len(self._hands), timeout=0)
        results = [result for call in found for result in self._answer(call)]
        return list(self._writers.map(self._finished, results))

    @property
    def is_over(self) -> bool:
        """Whether all results have been taken; not before `take` has raised what went wrong."""
        with self._changed:
            more = self._waiting or self._suspects or not self._is_listed
        held = any(hand.held for hand in self._hands.values())
        return self._failure is None and not held and (self._stopped or not more)

    def stop(self) -> None:
        """Reads no further recording; what is decoded is still transcribed."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def end(self) -> None:
        """Ends the workers, and leaves the cluster."""
        self.stop()
        with self._left:
            ending = [hand.actor.end.remote() for hand in self._hands.values() if hand.is_ready]
            if ending:
                ray.wait(ending, num_returns=len(ending), timeout=_PATIENCE_S)
            for hand in self._hands.values():
                ray.kill(hand.actor)
            self._hands.clear()

    def _list(self) -> None:
        """Lists the inputs, some ahead."""
        try:
            for place, item in self._inputs:
                with self._changed:
                    self._changed.wait_for(lambda: self._stopped or len(self._waiting) < _KNOWN)
                    if self._stopped:
                        return
                    self._waiting.append(_Task(place, item))
                    self._changed.notify_all()
        except BaseException as error:
            self._failure = error
        finally:
            with self._changed:
                self._is_listed = True
                self._changed.notify_all()

    def _begin(self, patience_s: float | None) -> bool:
        """Joins the cluster once there is something to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_listed, patience_s)
            if not self._waiting or self._stopped:
                return False
        self._left.enter_context(self._cluster.joined())
        count, cores, gpus = self._cluster.division(ray.nodes())
        self._actor = ray.remote(Worker).options(
            num_cpus=cores, num_gpus=gpus, scheduling_strategy="SPREAD"
        )
        job = replace(self._job, cluster=None, jobs=cores)
        self._start = partial(self._cluster.load, cores), job, str(Path.cwd())
        for _ in range(count):
            self._hire()
        return True

    def _hire(self) -> None:
        hand = _Hand(self._actor.remote())
        self._hands[hand.actor.start.remote(*self._start)] = hand

    def _answer(self, call: Any) -> list[tuple[_Task, Result]]:
        """What a worker has done, which is given more to do."""
        hand = self._hands.pop(call)
        try:
            done, is_over = ray.get(call) or ([], False)
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, AsrError) else error) from None
        except RayError as error:
            return self._lost(hand, error)
        hand.is_ready, self._barren = True, 0
        results = [(hand.held.pop(number), result) for number, result in done]
        if is_over:
            hand.held.clear()  # not read
        given = [] if self._stopped else [hand.give(task) for task in self._chosen(hand)]
        self._hands[hand.actor.exchange.remote(given, self._stopped)] = hand
        for task, result in results:
            _check_seen(task.item, result)
        return results

    def _chosen(self, hand: _Hand) -> Iterator[_Task]:
        """What a worker is to be given: less for each where little is left."""
        with self._changed:
            most = math.ceil(len(self._waiting) / (2 * len(self._hands) + 2))
            most = max(_LEAST_AHEAD, min(_AHEAD, most))
            if not any(task.ended for task in hand.held.values()):
                while self._waiting and hand.has_room(most):
                    yield self._waiting.popleft()
            self._changed.notify_all()
        if self._suspects and not hand.held:
            yield self._suspects.popleft()

    def _lost(self, hand: _Hand, error: Any) -> list[tuple[_Task, Result]]:
        """A worker has ended: another takes its place, and what it held is tried again."""
        if not hand.is_ready:
            self._barren += 1
            if self._barren >= _TRIES:
                raise AsrError(
                    f"workers end before they can read anything ({in_brief(error)}): give them "
                    "more memory, or look into Ray's logs, in /tmp/ray on their machines."
                )
        with suppress(RayError):
            ray.kill(hand.actor)
        counts = not getattr(error, "preempted", False)  # else a node was only taken away
        tasks = [replace(task, ended=task.ended + counts) for task in hand.held.values()]
        self._suspects += [task for task in tasks if task.ended < _TRIES]
        left = len(self._waiting) + len(self._suspects)
        if not self._stopped and (left > len(self._hands) or not self._is_listed):
            self._hire()
        return [(task, _fatal(task.item)) for task in tasks if task.ended >= _TRIES]

    def _finished(self, done: tuple[_Task, Result]) -> tuple[int, Result]:
        task, result = done
        return task.place, self._finish(result)


def _fatal(item: Input) -> Result:
    return Result(
        item,
        None,
        f"{item.path} ends the workers that read it: convert it to wav or flac, or give the "
        "workers more memory",
    )


def _check_seen(item: Input, result: Result) -> None:
    """BadOption if a worker has not found a file that is there: the next would fail, too."""
    unseen = result.transcript is None and result.version is None and item.problem is None
    if unseen and isinstance(item.path, Path) and version_of(item) is not None:
        raise BadOption(
            f"{item.path} is not to be seen from a worker: mount its disk at the same place on all "
            "machines of the cluster, or keep the recordings in a store."
        )
