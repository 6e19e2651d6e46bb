"""The bundles that are served side by side, each by a transcriber of its own.

A bundle is replaced without losing a request: the new one is loaded and warmed beside the old one,
then takes its place for whatever comes from then on, while the old one ends what it has.
"""

import contextlib
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from asr.errors import AsrError, BadOption
from asr.runtime import Recognizer
from asr.transcript import Transcript
from service.decoding import Decoders
from service.errors import ApiError
from service.fields import Reading
from service.metrics import Metrics
from service.settings import Settings
from service.transcriber import Transcriber

log = logging.getLogger(__name__)

OPENAI_NAMES = frozenset(
    {"whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"}
)
"""Names that clients have built in and that stand for the first model."""


@dataclass(frozen=True)
class Heard:
    """What became of a recording."""

    transcripts: tuple[Transcript, ...]
    """One, or one for each channel."""
    timings: dict[str, float]
    """Seconds that each stage took."""
    recognizer: Recognizer
    """What heard it."""


class Shelf:
    """Model id -> transcriber. The first is the settings' bundle, under the bundle's own name; the
    others are those in the models' folder, under their folders' names."""

    def __init__(self, settings: Settings, decoders: Decoders, metrics: Metrics) -> None:
        self._settings = settings
        self._decoders = decoders
        self._metrics = metrics
        self._folder = settings.models_folder
        self._others: dict[str, Transcriber] = {}
        self._under_way: Counter[Transcriber] = Counter()
        self._retired: set[Transcriber] = set()
        self._reloading: set[str] = set()
        self.first = Transcriber(settings, decoders, metrics)

    async def start(self) -> None:
        """Load and warm every model; errors are those of `Recognizer.load`."""
        for path in self._bundles():
            if self._settings.bundle is None or not path.samefile(self._settings.bundle):
                self._others[path.name] = await self._built(path)
        await self.first.start()  # the last, since once it is ready the service is
        if self.first.model_id in self._others:
            raise BadOption(
                f"{self._folder} has another bundle of the first model's name, "
                f"{self.first.model_id}: rename its folder, or set EARSHOT_BUNDLE to it."
            )

    def stop(self) -> None:
        """Let go of every model."""
        for transcriber in self.all():
            transcriber.stop()

    def give_up(self) -> None:
        """Answer every request that is left: the time to drain is over."""
        for transcriber in self.all():
            transcriber.give_up()

    def all(self) -> list[Transcriber]:
        """Whoever may have requests: those that are served, loaded or replaced."""
        return [self.first, *self._others.values(), *self._retired]

    def check(self, upload_bytes: int) -> None:
        """ApiError where no model would answer an upload of so many bytes in time."""
        *others, last = self.all()
        for transcriber in others:
            with contextlib.suppress(ApiError):
                return transcriber.check(upload_bytes)
        last.check(upload_bytes)

    def served(self) -> dict[str, Transcriber]:
        """Every model that is ready, the first one first; 503 before that is."""
        return {self.first.model_id: self.first, **self._others}

    def find(self, name: str) -> Transcriber:
        """The transcriber of the model that a request names; 404 in OpenAI's words."""
        if name in OPENAI_NAMES:
            return self.first
        served = self.served()
        if name not in served:
            raise _no_such_model(name, served)
        return served[name]

    async def hear(self, asked: Reading, body: bytes, name: str, channels: bool = False) -> Heard:
        """What is said in an encoded recording, or on each of its channels, by the model asked for.

        That model goes on until this is done, whether or not it is reloaded meanwhile. Errors call
        the recording `name`.
        """
        transcriber = self.find(asked.model)
        self._under_way[transcriber] += 1
        try:
            options = await run_in_threadpool(asked.options, transcriber.recognizer)
            result = await transcriber.transcribe(body, name, options, channels)
            return Heard(result.transcripts, result.timings, transcriber.recognizer)
        finally:
            self._under_way[transcriber] -= 1
            self._clear(transcriber)

    def under_way(self, transcriber: Transcriber) -> int:
        """How many requests it has."""
        return self._under_way[transcriber]

    async def reload(self, name: str) -> Transcriber:
        """Load the bundle of that name anew, or for the first time, and serve it from then on.

        ApiError: there is no such bundle, it is being reloaded already, or it cannot be loaded;
        then the old one goes on.
        """
        first = name in OPENAI_NAMES or name == self.first.model_id
        name = self.first.model_id if first else name
        path = self._settings.bundle if first else self._path(name)
        if name in self._reloading:
            raise ApiError(409, f"The model {name!r} is being reloaded.", code="reloading")
        self._reloading.add(name)
        try:
            fresh = await self._built(path)
        except AsrError as error:
            message = f"The old model goes on, as the new one cannot be loaded: {error}"
            raise ApiError(422, message, param="model", code="bad_bundle") from error
        finally:
            self._reloading.discard(name)
        old = self.first if first else self._others.get(name)
        if first:
            self.first = fresh
        else:
            self._others[name] = fresh
        if old is not None:
            self._retired.add(old)
            self._clear(old)
        log.info("model %s is loaded anew", name)
        return fresh

    def _path(self, name: str) -> Path:
        """Of the bundle in the models' folder: a client names an entry of it, never a path."""
        paths = {path.name: path for path in self._bundles()}
        if name not in paths:
            raise _no_such_model(name, self.served())
        return paths[name]

    def _bundles(self) -> list[Path]:
        if self._folder is None:
            return []
        if not self._folder.is_dir():
            raise BadOption(f"EARSHOT_MODELS_FOLDER {self._folder} is no folder: correct it.")
        return sorted(path for path in self._folder.iterdir() if (path / "bundle.json").is_file())

    async def _built(self, path: Path | None) -> Transcriber:
        settings = self._settings.model_copy(update={"bundle": path})
        fresh = Transcriber(settings, self._decoders, self._metrics)
        try:
            await fresh.start()
        except BaseException:
            fresh.stop()
            raise
        return fresh

    def _clear(self, transcriber: Transcriber) -> None:
        if not self._under_way[transcriber]:
            del self._under_way[transcriber]
            if transcriber in self._retired:
                self._retired.discard(transcriber)
                transcriber.stop()


def _no_such_model(name: str, served: dict[str, Transcriber]) -> ApiError:
    known = ", ".join(map(repr, served))
    message = f"The model {name[:100]!r} does not exist here; this service has {known}."
    return ApiError(404, message, param="model", code="model_not_found")


def _shelf(request: Request) -> Shelf:
    shelf: Shelf = request.app.state.shelf
    return shelf


TheShelf = Annotated[Shelf, Depends(_shelf)]
"""For a route's argument: the app's models."""
