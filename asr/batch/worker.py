"""A worker of a job on a cluster: a pipeline that is given its recordings call by call."""

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

from asr.batch.folder import pipeline
from asr.batch.folder_job import FolderJob, made_by
from asr.batch.inputs import Input
from asr.batch.work import Result
from asr.errors import BadOption

if TYPE_CHECKING:
    from asr.runtime import Recognizer

_PATIENCE_S = 0.5
"""How long a call waits for a result."""


class Worker:
    """Transcribes what it is given; a process of its own, which writes no transcript."""

    def start(self, load: "Callable[[], Recognizer]", job: FolderJob, folder: str) -> None:
        """Loads the recogniser; paths are relative to `folder`, if it is there.

        Raises:
            BadOption: what is loaded reads otherwise than the job's bundle.
            AsrError: it cannot be loaded.
        """
        with suppress(OSError):
            os.chdir(folder)
        recognizer = load()
        if made_by(recognizer, job.options, job.layout, job.selection) != job.made:
            raise BadOption(
                f"{socket.gethostname()} has another bundle, language model or version of earshot "
                "than the job: give all machines the same."
            )
        self._given: SimpleQueue[Input | None] = SimpleQueue()
        self._pipeline = pipeline(job, recognizer, iter(self._given.get, None))
        self._pipeline.__enter__()

    def exchange(
        self, items: Sequence[Input], stopped: bool
    ) -> tuple[list[tuple[int, Result]], bool]:
        """Takes recordings and gives what is done; whether nothing more comes.

        It waits a moment for a result. A result's number says how many were given before its input.

        Args:
            stopped: read nothing more.
        """
        for item in items:
            self._given.put(item)
        if stopped:
            self._given.put(None)
            self._pipeline.stop()
        done = self._pipeline.take(_PATIENCE_S)
        while more := self._pipeline.take(0.0):
            done += more
        return done, self._pipeline.is_over

    def end(self) -> None:
        """Ends its processes, and deletes what it has fetched."""
        self._pipeline.end()
