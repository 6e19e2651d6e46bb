"""The registry of served models, each with a transcriber of its own.

Reloading a model loses no request: the new one is loaded and warmed up beside the old one, then
takes its place for new requests, while the old one finishes those that it has.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fastapi.concurrency import run_in_threadpool

from asr.bundle import Bundle, default_bundle
from asr.errors import AsrError, BadOption
from asr.runtime import Recognizer
from asr.runtime.engine import Wave
from asr.transcript import Transcript
from service.engine.decode_pool import DecodePool
from service.engine.device import DEVICE
from service.engine.order import OnSegment
from service.engine.tasks import How
from service.engine.transcriber import (
    TAKES_REQUESTS,
    Background,
    Result,
    State,
    Transcriber,
)
from service.engine.worker import WorkerFailed
from service.errors import ApiError
from service.monitoring.metrics import Metrics
from service.settings import Settings

log = logging.getLogger(__name__)

_OPENAI_NAMES = re.compile(
    r"(whisper-1|gpt-transcribe|gpt-live-transcribe|gpt-4o-transcribe(-diarize)?|gpt-4o-mini-transcribe)"
    r"(-\d{4}-\d{2}-\d{2})?"
)
_LOOKS = 10
"""In the time after which a model is unloaded."""


@dataclass(frozen=True)
class ModelState:
    """A model and its state."""

    id: str | None
    """None for the first model until it is loaded."""
    status: State
    device: str | None


class ModelRegistry:
    """Model id -> transcriber.

    The first model is the bundle of the settings, under the bundle's own name. The others are the
    bundles in the models folder, under the names of their folders.

    Args:
        device: the target of the worker processes that run the models.
    """

    def __init__(
        self, settings: Settings, decoders: DecodePool, metrics: Metrics, device: str = DEVICE
    ) -> None:
        self._settings = settings
        self._decoders = decoders
        self._metrics = metrics
        self._device = device
        self._folder = settings.models_folder
        self._others: dict[str, Transcriber] = {}
        self._under_way: Counter[Transcriber] = Counter()
        self._retired: set[Transcriber] = set()
        self._reloading: set[str] = set()
        self.first = Transcriber(settings, decoders, metrics, device)

    async def start(self) -> None:
        """Load and warm up every model; errors are those of `try_out` and `Recognizer.load`."""
        if self._folder is not None or self._settings.model_aliases:
            # Two of one name, and an alias of none, are refused before anything is loaded.
            await run_in_threadpool(self.try_out)
        for path in self._other_bundles():
            self._others[path.name] = await self._load(path)
        await self.first.start()  # last: the service is ready once this is
        self._update_metrics()

    def try_out(self) -> None:
        """Open every bundle without loading it.

        Raises:
            BadBundle: one cannot be opened.
            BadOption: the models folder does not exist, or has a bundle with the first one's name;
                or an alias stands for no model.
        """
        first = Bundle.open(self._settings.bundle or default_bundle())
        others = self._other_bundles()
        for path in others:
            Bundle.open(path)
        self._check_names(first.info.name, [path.name for path in others])

    def stop(self) -> None:
        """Stop every model."""
        for transcriber in self.all():
            transcriber.stop()

    def give_up(self) -> None:
        """Answer every request that is left, since the time to drain is over."""
        for transcriber in self.all():
            transcriber.give_up()

    def all(self) -> list[Transcriber]:
        """All transcribers that may have requests: served, being loaded, or replaced."""
        return [self.first, *self._others.values(), *self._retired]

    def check(self, upload_bytes: int) -> None:
        """Raise ApiError if no model would answer an upload of so many bytes in time."""
        *others, last = self.all()
        for transcriber in others:
            with contextlib.suppress(ApiError):
                return transcriber.check(upload_bytes)
        last.check(upload_bytes)

    def served(self) -> dict[str, Transcriber]:
        """Every model that is ready, the first one first; ApiError (503) before it is loaded."""
        return {self.first.model_id: self.first, **self._others}

    def states(self) -> list[ModelState]:
        """The state of every model, the first one first, loaded or not."""
        first = self.first
        name = None if first.state == "loading" else first.model_id
        return [_state(name, first), *(_state(*other) for other in self._others.items())]

    def state(self, name: str) -> ModelState:
        """The state of a model; ApiError (404) if there is none of that name, or (503) before the
        first is loaded."""
        return _state(name, self.find(name))

    def find(self, name: str) -> Transcriber:
        """The transcriber of the model that a request names, or ApiError (404)."""
        name, served = self._real_name(name), self.served()
        if name not in served:
            raise _no_such_model(name, served)
        return served[name]

    def _real_name(self, name: str) -> str:
        """The id of the model that an alias or one of OpenAI's names stands for."""
        aliases = self._settings.aliases()
        if name in aliases:
            return aliases[name] or self.first.model_id
        return self.first.model_id if _OPENAI_NAMES.fullmatch(name) else name

    async def transcribe(
        self,
        model: str,
        options: Callable[[Recognizer], How],
        body: bytes,
        name: str,
        channels: str = "mix",
        track: int | None = None,
        on_segment: OnSegment | None = None,
    ) -> Result:
        """The transcript of an encoded recording, or that of each of its channels, by `model`.

        That model goes on until this is done, even if it is reloaded meanwhile. Errors call the
        recording `name`.

        Args:
            options: gives the options of the request as the model's recogniser takes them; called
                in a thread.
            on_segment: as of `Transcriber.transcribe`.
        """
        async with self._used(model) as transcriber:
            chosen = await run_in_threadpool(options, transcriber.recognizer)
            return await transcriber.transcribe(body, name, chosen, channels, track, on_segment)

    async def transcribe_behind(
        self,
        model: str,
        options: dict[str, Any],
        path: Path,
        name: str,
        channels: str,
        track: int | None,
        background: Background,
    ) -> Result:
        """As `transcribe`, of a file, whenever no request waits."""
        async with self._used(model) as transcriber:
            return await transcriber.transcribe_behind(
                path, name, options, channels, track, background
            )

    async def read(
        self, model: str, options: dict[str, Any], samples: Wave, within_s: float
    ) -> Transcript:
        """The transcript of samples `(S,)` at 16 kHz by `model`; as `Transcriber.read`."""
        async with self._used(model) as transcriber:
            return await transcriber.read(samples, options, within_s)

    @contextlib.asynccontextmanager
    async def _used(self, model: str) -> AsyncIterator[Transcriber]:
        """The transcriber of a model, loaded, which goes on for as long, even if it is reloaded."""
        transcriber = self.find(model)
        self._under_way[transcriber] += 1  # first: it is not unloaded from now on
        try:
            await transcriber.load_again()
            yield transcriber
        finally:
            self._under_way[transcriber] -= 1
            transcriber.used = time.monotonic()
            self._stop_if_unused(transcriber)

    async def unload_often(self) -> None:
        """Unload models that nobody has used for `model_idle_s`, until cancelled."""
        idle_s = self._settings.model_idle_s
        while idle_s:
            self.unload_unused(idle_s)
            await asyncio.sleep(idle_s / _LOOKS)

    def unload_unused(self, idle_s: float) -> None:
        """Unload models that nobody has used for so many seconds; the next request loads them."""
        for transcriber in (self.first, *self._others.values()):
            is_idle = time.monotonic() - transcriber.used >= idle_s
            if is_idle and not self._under_way[transcriber] and transcriber.state == "ready":
                transcriber.unload()
                log.info("model %s is unloaded: nobody uses it", transcriber.model_id)

    @property
    def longest_s(self) -> float:
        """Seconds of the longest recording under way, as far as known."""
        return max(transcriber.longest_s for transcriber in self.all())

    def under_way(self, transcriber: Transcriber) -> int:
        """Number of its requests."""
        return self._under_way[transcriber]

    async def reload(self, name: str) -> Transcriber:
        """Load a bundle again, or for the first time, and serve it from then on.

        Raises:
            ApiError: there is no such bundle, it is already being reloaded, or it cannot be loaded;
                then the old one stays in service.
        """
        name = self._real_name(name)
        first = name == self.first.model_id
        path = self._settings.bundle if first else self._path(name)
        if name in self._reloading:
            raise ApiError(409, f"The model {name!r} is being reloaded.", code="reloading")
        self._reloading.add(name)
        try:
            new = await self._load(path)
        except (AsrError, WorkerFailed, OSError) as error:
            log.error("model %s is not reloaded: %s", name, error)
            message = f"The old model stays in service, as the new one cannot be loaded: {error}"
            raise ApiError(422, message, param="model", code="bad_bundle") from error
        finally:
            self._reloading.discard(name)
        old = self.first if first else self._others.get(name)
        if first:
            self.first = new
        else:
            self._others[name] = new
        self._update_metrics()
        if old is not None:
            self._retire(old)
        log.info("model %s is reloaded", name)
        return new

    async def reload_all(self) -> None:
        """Reload every bundle, load those that are new in the folder, and stop those that are gone.

        If one cannot be loaded, that is logged and the old one stays in service.
        """
        try:
            present = [path.name for path in self._other_bundles()]
        except BadOption as error:
            log.error("the old models stay in service: %s", error)
            return
        for name in (self.first.model_id, *present):
            with contextlib.suppress(ApiError):  # it is logged, or another reload is under way
                await self.reload(name)
        for name in self._others.keys() - set(present):
            self._retire(self._others.pop(name))
            self._update_metrics()
            log.info("model %s is removed", name)

    def _check_names(self, first: str, others: Collection[str]) -> None:
        if first in others:
            raise BadOption(
                f"{self._folder} has another bundle with the first model's name, {first}: rename "
                "its folder, or set EARSHOT_BUNDLE to it."
            )
        for alias, name in self._settings.aliases().items():
            if name and name not in (first, *others):
                raise BadOption(
                    f"EARSHOT_MODEL_ALIASES: {alias!r} stands for {name!r}, which is not served; "
                    f"choose one of {', '.join(sorted((first, *others)))}."
                )

    def _update_metrics(self) -> None:
        """Make the metrics show the models that are served now."""
        for gauge, states in (
            (self._metrics.ready, TAKES_REQUESTS),
            (self._metrics.loaded, frozenset({"ready"})),
        ):
            gauge.clear()
            for name, transcriber in self.served().items():
                gauge.labels(name).set_function(partial(_is_in, transcriber, states))

    def _path(self, name: str) -> Path:
        """Path of a bundle in the models folder: a client names an entry of it, never a path."""
        paths = {path.name: path for path in self._bundles()}
        if name not in paths:
            raise _no_such_model(name, self.served())
        return paths[name]

    def _bundles(self) -> list[Path]:
        if self._folder is None:
            return []
        if not self._folder.is_dir():
            raise BadOption(f"EARSHOT_MODELS_FOLDER {self._folder} is not a folder: correct it.")
        return sorted(path for path in self._folder.iterdir() if (path / "bundle.json").is_file())

    def _other_bundles(self) -> list[Path]:
        """The bundles in the folder, without the first model if that lies there too."""
        first = self._settings.bundle
        return [path for path in self._bundles() if first is None or not path.samefile(first)]

    async def _load(self, path: Path | None) -> Transcriber:
        settings = self._settings.model_copy(update={"bundle": path})
        new = Transcriber(settings, self._decoders, self._metrics, self._device)
        try:
            await new.start()
        except BaseException:
            new.stop()
            raise
        return new

    def _retire(self, transcriber: Transcriber) -> None:
        self._retired.add(transcriber)
        self._stop_if_unused(transcriber)

    def _stop_if_unused(self, transcriber: Transcriber) -> None:
        if not self._under_way[transcriber]:
            del self._under_way[transcriber]
            if transcriber in self._retired:
                self._retired.discard(transcriber)
                transcriber.stop()


def _is_in(transcriber: Transcriber, states: frozenset[str]) -> float:
    return float(transcriber.state in states)


def _state(name: str | None, transcriber: Transcriber) -> ModelState:
    device = None if transcriber.state == "loading" else transcriber.recognizer.device
    return ModelState(name, transcriber.state, device)


def _no_such_model(name: str, served: dict[str, Transcriber]) -> ApiError:
    known = ", ".join(map(repr, served))
    message = f"The model {name[:100]!r} does not exist here; this service has {known}."
    return ApiError(404, message, param="model", code="model_not_found")
