"""The recogniser behind the event loop: decoding in a few threads, the model in one of its own."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, BinaryIO, TypeVar

from fastapi import Depends, Request, UploadFile

from asr.audio import SAMPLE_RATE, Audio, Limits, load
from asr.runtime import Recognizer
from asr.transcript import Transcript
from service.errors import ApiError
from service.settings import Settings

_DECODERS = 4
_T = TypeVar("_T")


class Transcriber:
    """Takes uploads to transcripts; nothing heavier than a hand-over runs on the event loop."""

    def __init__(self, settings: Settings, recognizer: Recognizer | None) -> None:
        self._settings = settings
        self._given = recognizer
        self._warm: Recognizer | None = None
        self._decoding = ThreadPoolExecutor(_DECODERS, "decode")
        self._model = ThreadPoolExecutor(1, "model")

    async def start(self) -> None:
        """Load and warm the model; errors are those of `Recognizer.load`."""
        self._warm = await _in(self._model, self._load)

    def stop(self) -> None:
        """Let go of the threads; recordings not begun are dropped."""
        self._decoding.shutdown(wait=False, cancel_futures=True)
        self._model.shutdown(wait=False, cancel_futures=True)

    @property
    def recognizer(self) -> Recognizer:
        """The warm recogniser; 503 before there is one."""
        if self._warm is None:
            message = "The model is still being loaded: try again in a few seconds."
            raise ApiError(503, message, code="not_ready", headers={"retry-after": "2"})
        return self._warm

    @property
    def model_id(self) -> str:
        """The served model's name."""
        return str(self.recognizer.bundle.info["name"])

    async def transcribe(self, upload: UploadFile) -> Transcript:
        """The transcript of an uploaded recording; `BadAudio` or `TooLong` name it."""
        recognizer = self.recognizer
        name = upload.filename or "the upload"
        audio = await _in(self._decoding, lambda: self._decode(upload.file, name))
        return await _in(self._model, lambda: recognizer.transcribe(audio))

    def _load(self) -> Recognizer:
        recognizer = self._given or Recognizer.load(self._settings.bundle, self._settings.device)
        # The first run of a model sets up kernels and arenas: let no client wait for that.
        tone = [0.1 * math.sin(0.2 * step) for step in range(SAMPLE_RATE)]
        recognizer.transcribe((tone, SAMPLE_RATE))
        return recognizer

    def _decode(self, file: BinaryIO, name: str) -> Audio:
        return load(file.read(), Limits(max_seconds=self._settings.max_seconds), name)


async def _in(executor: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
    return await asyncio.wrap_future(executor.submit(work))


def _transcriber(request: Request) -> Transcriber:
    transcriber: Transcriber = request.app.state.transcriber
    return transcriber


TheTranscriber = Annotated[Transcriber, Depends(_transcriber)]
"""For a route's argument: the app's transcriber."""
